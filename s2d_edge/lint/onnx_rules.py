"""Rules for ONNX graphs that hold for more than one target."""

from __future__ import annotations

from collections.abc import Iterator

from s2d_edge.lint.onnx_view import OnnxGraph, name_of
from s2d_edge.lint.rules import Place, Rule

# Export and calibration write this version. ONNX Runtime 1.20, the oldest supported one, reads no newer one.
IR_VERSION = 10
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
