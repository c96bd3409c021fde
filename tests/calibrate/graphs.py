"""A small vision transformer as ONNX, with every kind of layer that quantization meets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FRAMES, SIZE, WIDTH, CLASSES = 2, 48, 16, 3
CLIP_SHAPE = (1, FRAMES, SIZE, SIZE, 3)


def write_transformer(path: Path, seed: int = 0) -> None:
    """uint8 clip -> resize, convolutions, PReLU, LayerNorm, attention, MLP -> logits."""
    generator = np.random.default_rng(seed)
    constants: list[onnx.TensorProto] = []

    def constant(name: str, value: NDArray[np.generic]) -> str:
        constants.append(numpy_helper.from_array(value, name))
        return name

    def weight(name: str, *shape: int) -> str:
        spread = 1 / np.sqrt(np.prod(shape[1:]) if len(shape) == 4 else shape[0])
        return constant(name, (generator.normal(size=shape) * spread).astype(np.float32))

    def shape(name: str, *sizes: int) -> str:
        return constant(name, np.array(sizes, dtype=np.int64))

    ones, zeros = np.ones(WIDTH, dtype=np.float32), np.zeros(WIDTH, dtype=np.float32)
    tokens = 36  # 24 × 24 after the resize, 6 × 6 patches of 4
    node = helper.make_node
    nodes = [
        node("Cast", ["clip"], ["float"], to=TensorProto.FLOAT),
        node("Div", ["float", constant("range", np.array(255, np.float32))], ["scaled"]),
        node("Reshape", ["scaled", shape("s0", FRAMES, SIZE, SIZE, 3)], ["pictures"]),
        node("Transpose", ["pictures"], ["channels"], perm=[0, 3, 1, 2]),
        node("Resize", ["channels", "", "", shape("s1", FRAMES, 3, 24, 24)], ["half"], mode="linear"),
        node("Conv", ["half", weight("stem", WIDTH, 3, 4, 4)], ["stemmed"], strides=[4, 4]),
        node("PRelu", ["stemmed", constant("slope", np.full((WIDTH, 1, 1), 0.2, np.float32))], ["active"]),
        node("Conv", ["active", weight("depth", WIDTH, 1, 3, 3)], ["mixed"], group=WIDTH, pads=[1, 1, 1, 1]),
        node("Reshape", ["mixed", shape("s2", FRAMES, WIDTH, tokens)], ["flat"]),
        node("Transpose", ["flat"], ["tokens"], perm=[0, 2, 1]),
        node("LayerNormalization", ["tokens", constant("g", ones), constant("b", zeros)], ["normed"]),
        node("MatMul", ["normed", weight("wq", WIDTH, WIDTH)], ["q"]),
        node("MatMul", ["normed", weight("wk", WIDTH, WIDTH)], ["k"]),
        node("MatMul", ["normed", weight("wv", WIDTH, WIDTH)], ["v"]),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["scores"], name="scores_product"),
        node("Softmax", ["scores"], ["attention"], axis=-1),
        node("MatMul", ["attention", "v"], ["attended"], name="values_product"),
        node("MatMul", ["attended", weight("wo", WIDTH, WIDTH)], ["projected"]),
        node("Add", ["tokens", "projected"], ["residual"]),
        node("LayerNormalization", ["residual", "g", "b"], ["normed2"]),
        node("MatMul", ["normed2", weight("w1", WIDTH, 4 * WIDTH)], ["hidden"]),
        node("Gelu", ["hidden"], ["active2"]),
        node("MatMul", ["active2", weight("w2", 4 * WIDTH, WIDTH)], ["out"]),
        node("Add", ["residual", "out"], ["last"]),
        node("ReduceMean", ["last", shape("axes", 0, 1)], ["mean"], keepdims=0),
        node("Reshape", ["mean", shape("s3", 1, WIDTH)], ["feature"]),
        node("MatMul", ["feature", weight("head", WIDTH, CLASSES)], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "transformer",
        [helper.make_tensor_value_info("clip", TensorProto.UINT8, CLIP_SHAPE)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, CLASSES))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


# Multiply-accumulates of the graph above, by hand: per frame 36 patches.
DEPTHWISE_MACS = FRAMES * 36 * WIDTH * 9
CONVOLUTION_MACS = FRAMES * 36 * WIDTH * (3 * 4 * 4) + DEPTHWISE_MACS
LINEAR_MACS = FRAMES * 36 * WIDTH * WIDTH * (4 + 4 + 4) + WIDTH * CLASSES
MACS = CONVOLUTION_MACS + LINEAR_MACS
