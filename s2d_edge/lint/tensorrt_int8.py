"""The rules of TensorRT's explicit quantization: INT8 between QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto

from s2d_edge.lint.onnx_rules import LINEARS, quantized_tables
from s2d_edge.lint.onnx_view import QUANTIZERS, OnnxGraph, attribute, name_of, type_name
from s2d_edge.lint.rules import Place, Rule

_DOCS = "https://docs.nvidia.com/deeplearning/tensorrt"
_OPERATORS = "https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md"
_QUANTIZED = f"{_DOCS}/latest/inference-library/work-quantized-types.html"
_EXPLICIT = f"{_DOCS}/latest/inference-library/quantized-types-explicit-quantization.html"
_QUANTIZE_LAYER = f"{_DOCS}/operators/docs/Quantize.html"
_ORIN_MEASURED = "https://github.com/onnxsim/onnxsim/pull/1742"


def _zero_points(graph: OnnxGraph) -> Iterator[Place]:
    for node in graph.of(*QUANTIZERS):
        if len(node.input) < 3 or not node.input[2]:
            continue  # none is 0
        value = graph.value(node.input[2])
        if value is None:
            yield name_of(node), "a computed zero-point"
        elif value.any():
            yield name_of(node), f"the zero-point {value[value != 0].ravel()[0]}"


def _unsigned(graph: OnnxGraph) -> Iterator[Place]:
    for node in graph.of(*QUANTIZERS):
        found = graph.int_type(node)
        if found != TensorProto.INT8:
            yield name_of(node), f"{node.op_type} of {type_name(found)}"


def _scales(graph: OnnxGraph) -> Iterator[Place]:
    for node in graph.of(*QUANTIZERS):
        scale = graph.scale(node)
        if scale is None:
            yield name_of(node), "a computed scale"
        elif not (np.isfinite(scale).all() and (scale > 0).all()):
            yield name_of(node), f"the scale {scale[~(np.isfinite(scale) & (scale > 0))].ravel()[0]:g}"


def _pairs(graph: OnnxGraph) -> Iterator[Place]:
    for node in graph.of("QuantizeLinear"):
        readers = [reader for reader, _ in graph.readers(node.output[0])]
        others = [reader for reader in readers if reader.op_type != "DequantizeLinear"]
        if not readers or node.output[0] in graph.outputs:
            yield name_of(node), "QuantizeLinear with no DequantizeLinear after it"
        elif others:
            yield name_of(node), f"QuantizeLinear read by {others[0].op_type}"
        elif any(not _same_scale(graph, node, reader) for reader in readers):
            yield name_of(node), "QuantizeLinear and DequantizeLinear of different scales"
    for node in graph.of("DequantizeLinear"):
        before = graph.producer(node.input[0])
        if node.input[0] not in graph.tensors and (before is None or before.op_type != "QuantizeLinear"):
            what = before.op_type if before is not None else f"the input {node.input[0]}"
            yield name_of(node), f"DequantizeLinear of {what}"


def _same_scale(graph: OnnxGraph, one: onnx.NodeProto, other: onnx.NodeProto) -> bool:
    first, second = graph.scale(one), graph.scale(other)
    return one.input[1] == other.input[1] or (
        first is not None and second is not None and np.array_equal(first, second)
    )


def _quantized_weights(graph: OnnxGraph) -> Iterator[Place]:
    for node in graph.of("QuantizeLinear"):
        if graph.is_weight(node):
            yield name_of(node), f"QuantizeLinear of the constant {node.input[0]}"


def _activation_scales(graph: OnnxGraph) -> Iterator[Place]:
    for node in graph.of(*QUANTIZERS):
        scale = graph.scale(node)
        if scale is not None and scale.size > 1 and not graph.is_weight(node):
            yield name_of(node), f"{scale.size} scales for one activation"


def _weight_axes(graph: OnnxGraph) -> Iterator[Place]:
    for dequantize in graph.of("DequantizeLinear"):
        scale = graph.scale(dequantize)
        if scale is None or scale.size == 1 or not graph.is_weight(dequantize):
            continue
        shape = graph.shapes.get(dequantize.input[0])
        if shape is None:
            continue  # another rule finds it
        for node, index in graph.readers(dequantize.output[0]):
            wanted = _output_axis(node, index, len(shape))
            if wanted is not None and (scale.ndim != 1 or graph.axis(dequantize) != wanted):
                found = f"scales along axis {graph.axis(dequantize)} of the weights of {name_of(node)}"
                yield name_of(dequantize), f"{found}, whose outputs lie along axis {wanted}"


def _output_axis(node: onnx.NodeProto, index: int, rank: int) -> int | None:
    """Return the axis of a weight along which a linear's or convolution's outputs lie; None for others."""
    if node.op_type == "MatMul":
        return rank - 1 if index == 1 else rank - 2
    if node.op_type == "Gemm" and index < 2:
        transposed = bool(attribute(node, "transB" if index else "transA", 0))
        return int(not transposed) if index else int(transposed)
    return {("Conv", 1): 0, ("ConvTranspose", 1): 1}.get((node.op_type, index))


def _quantized_operators(graph: OnnxGraph) -> Iterator[Place]:
    for dequantize in graph.of("DequantizeLinear"):
        if graph.is_weight(dequantize):
            continue
        for node, _ in graph.uses(dequantize.output[0]):
            if node.op_type not in LINEARS and not _is_residual(graph, node):
                yield name_of(node), f"{node.op_type} between quantizers"
    yield from quantized_tables(graph)


def _is_residual(graph: OnnxGraph, node: onnx.NodeProto) -> bool:
    return node.op_type == "Add" and not graph.constants.intersection(node.input)


def _residuals(graph: OnnxGraph) -> Iterator[Place]:
    for node in graph.of("Add"):
        if _is_residual(graph, node):
            origins = [graph.origin(name) for name in node.input]
            if any(each is not None and each.op_type == "DequantizeLinear" for each in origins):
                yield name_of(node), "Add of quantized activations"


INT8_RULES: tuple[Rule[OnnxGraph], ...] = (
    Rule(
        name="zero-points",
        wants="every zero-point is 0",
        why="Quantization is symmetric; the parser refuses anything else.",
        source=_OPERATORS,
        find=_zero_points,
    ),
    Rule(
        name="signed-int8",
        wants="every quantized tensor is int8",
        why="INT8 is signed; uint8 stands for no quantized number, and biases in int32 are refused.",
        source=_QUANTIZED,
        find=_unsigned,
    ),
    Rule(
        name="scales",
        wants="scales are constants above 0",
        why="The builder wants them at build time, and strictly positive.",
        source=_QUANTIZE_LAYER,
        find=_scales,
    ),
    Rule(
        name="q-dq-pairs",
        wants="QuantizeLinear and DequantizeLinear come in pairs of one scale",
        why="Each fake quantization is a pair; a lone half is no fusion, and two scales multiply the values.",
        source=_EXPLICIT,
        find=_pairs,
    ),
    Rule(
        name="stored-weights",
        wants="weights are int8 constants with a DequantizeLinear alone",
        why="Weights quantized beforehand need only that; in FP32 they take four times the space.",
        source=_EXPLICIT,
        find=_quantized_weights,
    ),
    Rule(
        name="activation-scales",
        wants="an activation has one scale",
        why="Scales per channel are for weights; neither TensorRT nor ONNX Runtime then multiplies in INT8.",
        source=_QUANTIZED,
        find=_activation_scales,
    ),
    Rule(
        name="weight-axes",
        wants="scales of a weight lie along its output channels",
        why="Only a factor of the output channel can be taken out of the INT8 sum.",
        source=_QUANTIZED,
        find=_weight_axes,
    ),
    Rule(
        name="quantized-operators",
        wants="linears and convolutions alone are between quantizers",
        why="With linears alone in INT8 a ViT-B kept 84.5 of 85.2 % top-1; with every operator, 5 %.",
        source=_ORIN_MEASURED,
        find=_quantized_operators,
    ),
    Rule(
        name="float-residuals",
        wants="residual sums stay in floating point",
        why="They hold a ViT's outliers: in INT8 they were what took that ViT-B from 85 % to 5 %.",
        source=_ORIN_MEASURED,
        find=_residuals,
    ),
)
