"""What an ONNX graph for an ordinary CPU keeps to."""

from __future__ import annotations

from s2d_edge.lint.onnx_rules import dynamic_shapes, quantized_tables
from s2d_edge.lint.onnx_view import OnnxGraph
from s2d_edge.lint.rules import Rule

RULES: tuple[Rule[OnnxGraph], ...] = (
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
