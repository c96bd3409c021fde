"""The rules of ONNX Runtime on a CPU."""

from __future__ import annotations

from collections.abc import Iterator

from s2d_edge.lint.onnx_rules import IR_VERSION_RULE, dynamic_shapes, input_types_rule, quantized_tables
from s2d_edge.lint.onnx_view import OnnxGraph
from s2d_edge.lint.rules import Place, Rule

_NEWEST_OPSET = 21


def _newer_opset(graph: OnnxGraph) -> Iterator[Place]:
    if graph.opset > _NEWEST_OPSET:
        yield "the graph", f"opset {graph.opset}"


RULES: tuple[Rule[OnnxGraph], ...] = (
    IR_VERSION_RULE,
    input_types_rule("https://onnxruntime.ai/docs/api/python/api_summary.html"),
    Rule(
        name="opset",
        wants=f"the opset is at most {_NEWEST_OPSET}",
        why="ONNX Runtime guarantees the opsets of the ONNX it was built with: 1.20 those of ONNX 1.16.",
        source="https://onnxruntime.ai/docs/reference/compatibility.html",
        find=_newer_opset,
    ),
    Rule(
        name="static-shapes",
        wants="every shape is fixed",
        why="The manifest promises shapes, and rings are bound to the runtime's memory once.",
        source="https://onnxruntime.ai/docs/tutorials/mobile/helpers/make-dynamic-shape-fixed.html",
        find=dynamic_shapes,
    ),
    Rule(
        name="linear-weights",
        wants="8-bit constants are weights of linears and convolutions",
        why="A table that holds a mask's large number beside small ones keeps nothing of the small ones.",
        source="https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html",
        find=quantized_tables,
    ),
)
