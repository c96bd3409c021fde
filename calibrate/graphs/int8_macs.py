"""Count multiply-accumulates (MACs) of linears and convolutions, and those with INT8 inputs.

A multiplication counts as INT8 when its activation comes from a quantizer and its weight is stored in, or
quantized to, 8 bits. Products of two activations (those of the attentions) are no linears and not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from s2d_edge.core.errors import QuantizationError
from s2d_edge.core.openvino_core import openvino_core

LEAST_FRACTION = 0.90

# Operations that only move numbers: an INT8 input gives an INT8 output.
_OPENVINO_MOVES = frozenset(
    {
        "Reshape",
        "Transpose",
        "Squeeze",
        "Unsqueeze",
        "Slice",
        "StridedSlice",
        "Gather",
        "Split",
        "VariadicSplit",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MacCount:
    """Multiply-accumulates of linears and convolutions for one clip.

    Attributes:
        total: all of them.
        int8: those whose two inputs are INT8.
    """

    total: int
    int8: int

    @property
    def fraction(self) -> float:
        """``int8 / total``; 0 for a graph without a linear or convolution."""
        return self.int8 / self.total if self.total else 0.0

    def require_int8(self) -> None:
        """Check that enough of a graph is INT8.

        Raises:
            QuantizationError: less than 90 % is INT8.
        """
        if self.fraction < LEAST_FRACTION:
            raise QuantizationError(
                f"only {100 * self.fraction:.1f} % of the graph's linear and convolution MACs are INT8, "
                f"and an INT8 bundle needs {100 * LEAST_FRACTION:.0f} %; export the model again with this "
                "version, and if that does not help, report the model's sizes"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A linear or a convolution.

    Attributes:
        name: of the operation.
        macs: its multiply-accumulates for one clip.
        int8: both of its inputs are INT8.
        depthwise: it is a convolution of single channels, or of groups of them.
    """

    name: str
    macs: int
    int8: bool
    depthwise: bool = False


def count_macs(graph: Path) -> MacCount:
    """Count the MACs of an ONNX or OpenVINO graph with static shapes."""
    total = int8 = 0
    for layer in layers_of(graph):
        total += layer.macs
        int8 += layer.macs if layer.int8 else 0
    return MacCount(total=total, int8=int8)


def layers_of(graph: Path) -> Iterator[Layer]:
    """Yield linears and convolutions of an ONNX or OpenVINO graph with static shapes, in its order."""
    return _onnx_layers(graph) if graph.suffix == ".onnx" else _openvino_layers(graph)


def _onnx_layers(path: Path) -> Iterator[Layer]:
    import onnx

    from s2d_edge.calibrate.graphs.onnx_session import load_named
    from s2d_edge.lint.norms import MOVES
    from s2d_edge.lint.onnx_view import constant_names

    model = onnx.shape_inference.infer_shapes(load_named(path), strict_mode=True, data_prop=True)
    graph = model.graph
    shapes = {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.input, *graph.output)
    } | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    producer = {name: node for node in graph.node for name in node.output}
    constants = constant_names(model)

    def is_int8(name: str) -> bool:
        node = producer.get(name)
        while node is not None and node.op_type in MOVES:
            node = producer.get(node.input[0])
        return node is not None and node.op_type == "DequantizeLinear"

    for node in graph.node:
        if node.op_type == "Conv":
            per_output = prod(shapes[node.input[1]][1:])  # C_in / groups × kernel
        elif node.op_type in ("MatMul", "Gemm") and constants.intersection(node.input[:2]):
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            per_output = shapes[node.input[0]][0 if transposed else -1]
        else:
            continue
        yield Layer(
            name=node.name,
            macs=prod(shapes[node.output[0]]) * per_output,
            int8=is_int8(node.input[0]) and is_int8(node.input[1]),
            depthwise=any(one.name == "group" and one.i > 1 for one in node.attribute),
        )


def _openvino_layers(path: Path) -> Iterator[Layer]:

    from s2d_edge.lint.openvino_view import DECOMPRESSION, constant_names, source_names

    model = openvino_core().read_model(path)
    constants = constant_names(model)

    def source(node: Any, moves: frozenset[str]) -> Any:
        while node.get_type_name() in moves:
            node = node.input_value(0).get_node()
        return node

    def is_int8(value: Any) -> bool:
        node = value.get_node()
        if node.get_friendly_name() not in constants:
            return bool(source(node, _OPENVINO_MOVES).get_type_name() == "FakeQuantize")
        weight = source(node, DECOMPRESSION)
        if weight.get_type_name() == "FakeQuantize":
            return True
        return bool(weight.get_element_type().to_dtype() in (np.int8, np.uint8))

    for op in model.get_ordered_ops():
        kind = op.get_type_name()
        if kind == "Convolution":
            per_output = prod(op.input_value(1).get_shape()[1:])  # weights (C_out, C_in, kernel…)
        elif kind == "GroupConvolution":
            per_output = prod(op.input_value(1).get_shape()[2:])  # weights (groups, C_out, C_in, kernel…)
        elif kind == "MatMul" and constants.intersection(source_names(op)):
            transposed = op.get_attributes().get("transpose_a", False)
            per_output = op.input_value(0).get_shape()[-2 if transposed else -1]
        else:
            continue
        yield Layer(
            name=op.get_friendly_name(),
            macs=prod(op.get_output_shape(0)) * per_output,
            int8=is_int8(op.input_value(0)) and is_int8(op.input_value(1)),
            depthwise=kind == "GroupConvolution",
        )
