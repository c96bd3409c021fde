"""Rules for ONNX graphs that hold for more than one target."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto

from s2d_edge.lint.interface import Port, Side
from s2d_edge.lint.norms import Part, Parts, spelled_out_norms
from s2d_edge.lint.onnx_folding import Constants
from s2d_edge.lint.onnx_view import OnnxGraph, name_of, type_name
from s2d_edge.lint.rules import Place, Rule, beyond_half

# Export and calibration write this version. ONNX Runtime 1.20, the oldest supported one, reads no newer one.
IR_VERSION = 10
_INPUT_TYPES = (TensorProto.UINT8, TensorProto.INT32, TensorProto.FLOAT)
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
_FLOAT_ATTRIBUTES = (AttributeProto.FLOAT, AttributeProto.FLOATS)
LINEARS = frozenset({"MatMul", "Gemm", "Conv", "ConvTranspose"})


def dynamic_shapes(graph: OnnxGraph) -> Iterator[Place]:
    """Find inputs without a fixed shape, and nodes whose outputs alone have none."""

    def is_fixed(name: str) -> bool:
        return not name or None not in graph.shapes.get(name, (None,))

    for name in graph.inputs:
        if not is_fixed(name):
            yield name, f"an input of shape {_shape(graph, name)}"
    for node in graph.nodes:
        for name in node.output:
            if not is_fixed(name) and all(is_fixed(each) for each in node.input):
                yield name_of(node), f"{node.op_type} makes shape {_shape(graph, name)}"


def _shape(graph: OnnxGraph, name: str) -> str:
    sizes = graph.shapes.get(name)
    if sizes is None:
        return "unknown"
    return f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"


def onnx_norms(graph: OnnxGraph) -> Iterator[Place]:
    """Find normalisations in parts."""
    parts = [Part(name_of(node), node.op_type, tuple(node.input), tuple(node.output)) for node in graph.nodes]
    return spelled_out_norms(Parts(parts, graph.constants, Constants(graph).__getitem__))


def quantized_tables(graph: OnnxGraph) -> Iterator[Place]:
    """Find 8-bit constants that something other than a linear or convolution reads."""
    for dequantize in graph.of("DequantizeLinear"):
        if graph.is_weight(dequantize):
            for node, _ in graph.readers(dequantize.output[0]):
                if node.op_type not in LINEARS:
                    yield name_of(node), f"{node.op_type} reads the 8-bit constant {dequantize.input[0]}"


def _newer_ir(graph: OnnxGraph) -> Iterator[Place]:
    if graph.ir_version > IR_VERSION:
        yield "the graph", f"IR version {graph.ir_version}"


IR_VERSION_RULE: Rule[OnnxGraph] = Rule(
    name="ir-version",
    wants=f"the IR version is at most {IR_VERSION}",
    why="A runtime refuses a file format newer than its own: ONNX Runtime 1.20 whatever is above 10.",
    source="https://github.com/microsoft/onnxruntime/issues/23602",
    find=_newer_ir,
)


def _input_types(graph: OnnxGraph) -> Iterator[Place]:
    for name in graph.inputs:
        if (found := graph.types.get(name, TensorProto.UNDEFINED)) not in _INPUT_TYPES:
            yield name, f"an input of {type_name(found)}"


def input_types_rule(source: str) -> Rule[OnnxGraph]:
    """Return the rule on the types of inputs; ``source`` is the target's."""
    return Rule(
        name="input-types",
        wants="inputs are uint8, int32 or float32",
        why="The host gives pictures as uint8, ages as int32, rings as float32; no runtime converts them.",
        source=source,
        find=_input_types,
    )


def ports(graph: OnnxGraph, side: Side) -> list[Port]:
    """List a graph's inputs or outputs, for :func:`s2d_edge.lint.interface.interface_rule`."""
    return [
        Port(
            names=(name,),
            dtype={"float": "float32"}.get(kind := type_name(graph.types.get(name, 0)), kind),
            shape=graph.shapes.get(name),
        )
        for name in (graph.inputs if side == "inputs" else graph.outputs)
    ]


def beyond_half_constants(graph: OnnxGraph) -> Iterator[Place]:
    """Find constants, stored, given or computed, that are not finite or beyond what FP16 holds."""
    constants = Constants(graph)
    for name, tensor in graph.tensors.items():
        readers = graph.readers(name)
        if readers and tensor.data_type in _FLOATS:
            number = beyond_half(onnx.numpy_helper.to_array(tensor))
            if number is not None:
                yield name_of(readers[0][0]), f"the constant {name} holds {number:g}"
    for node in graph.nodes:
        if node.output and node.output[0] in graph.constants:
            continue
        for name in node.input:
            if name not in graph.constants or name in graph.tensors:
                continue
            value = constants[name]
            if value is None or value.dtype.kind not in "fV":
                continue
            if (number := beyond_half(np.asarray(value, np.float64))) is not None:
                yield name_of(node), f"the computed constant {name} holds {number:g}"
        for each in node.attribute:
            numbers = np.array([*each.floats, each.f] if each.type in _FLOAT_ATTRIBUTES else [])
            if (number := beyond_half(numbers)) is not None:
                yield name_of(node), f"the attribute {each.name} holds {number:g}"
        divisor = constants[node.input[1]] if node.op_type == "Div" else None
        if divisor is not None and divisor.dtype.kind == "f" and bool((divisor == 0).any()):
            yield name_of(node), f"Div by the constant {node.input[1]}, which holds 0"
