"""A clean INT8 graph for TensorRT, and small edits that break it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from s2d_edge.lint.onnx_view import OnnxGraph
from s2d_edge.lint.rules import broken
from s2d_edge.lint.tensorrt import RULES

Model = onnx.ModelProto

WIDTH, TOKENS, CLASSES = 8, 16, 3
CLIP = (1, 1, 32, 32, 3)


def int8_graph() -> onnx.ModelProto:
    """uint8 clip -> convolution, LayerNorm, linear with a residual, Gemm -> logits; each fed by INT8."""
    generator = np.random.default_rng(0)
    constants: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def constant(name: str, value: NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def add(kind: str, name: str, inputs: list[str], **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"{name}.out"], name=name, **attributes))
        return f"{name}.out"

    def quantized(name: str, value: str) -> str:
        scale = constant(f"{name}.scale", np.array(0.05, np.float32))
        zero = constant(f"{name}.zero", np.array(0, np.int8))
        return add(
            "DequantizeLinear",
            f"{name}.dq",
            [add("QuantizeLinear", f"{name}.q", [value, scale, zero]), scale, zero],
        )

    def weight(name: str, axis: int, *shape: int) -> str:
        stored = constant(name, generator.integers(-127, 128, shape, dtype=np.int8))
        scale = constant(f"{name}.scale", np.full(shape[axis], 0.01, np.float32))
        zero = constant(f"{name}.zero", np.zeros(shape[axis], np.int8))
        return add("DequantizeLinear", f"{name}.dq", [stored, scale, zero], axis=axis)

    ints = np.int64
    pixels = add("Cast", "cast", ["clip"], to=TensorProto.FLOAT)
    pixels = add("Mul", "rescale", [pixels, constant("range", np.array(1 / 255, np.float32))])
    pixels = add("Reshape", "frames", [pixels, constant("frames.shape", np.array([1, 32, 32, 3], ints))])
    pixels = add("Transpose", "channels", [pixels], perm=[0, 3, 1, 2])
    x = add("Conv", "conv", [quantized("pixels", pixels), weight("stem", 0, WIDTH, 3, 8, 8)], strides=[8, 8])
    x = add("PRelu", "active", [x, constant("slope", np.full((WIDTH, 1, 1), 0.2, np.float32))])
    x = add("Reshape", "flat", [x, constant("flat.shape", np.array([1, WIDTH, TOKENS], ints))])
    x = add("Transpose", "tokens", [x], perm=[0, 2, 1])
    ones, zeros = (constant(name, np.full(WIDTH, value, np.float32)) for name, value in (("g", 1), ("b", 0)))
    y = add("LayerNormalization", "norm", [x, ones, zeros])
    y = add("MatMul", "linear", [quantized("normed", y), weight("w", 1, WIDTH, WIDTH)])
    x = add("Add", "residual", [x, y])
    x = add("ReduceMean", "mean", [x, constant("axes", np.array([1], ints))], keepdims=0)
    x = add("Gemm", "head", [quantized("feature", x), weight("wh", 0, CLASSES, WIDTH)], transB=1)
    nodes[-1].output[0] = x = "logits"
    graph = helper.make_graph(
        nodes,
        "planted",
        [helper.make_tensor_value_info("clip", TensorProto.UINT8, CLIP)],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, (1, CLASSES))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    """The node of that name."""
    nodes: dict[str, onnx.NodeProto] = {each.name: each for each in model.graph.node}
    return nodes[name]


def store(model: onnx.ModelProto, name: str, value: NDArray[Any]) -> str:
    """Store a constant under a new name, or in place of one."""
    kept = [tensor for tensor in model.graph.initializer if tensor.name != name]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*kept, numpy_helper.from_array(value, name)])
    return name


def insert(
    model: onnx.ModelProto, before: str, kind: str, name: str, inputs: list[str], **attributes: Any
) -> str:
    """Put a node before another; returns the name of what it makes."""
    place = next(i for i, each in enumerate(model.graph.node) if each.name == before)
    made = helper.make_node(kind, inputs, [f"{name}.out"], name=name, **attributes)
    model.graph.node.insert(place, made)
    return f"{name}.out"


def rules_broken(model: Model) -> set[str]:
    """Return the names of TensorRT's rules that a graph breaks."""
    graph = OnnxGraph(model)
    return {violation.rule for rule in RULES for violation in broken(rule, graph)}
