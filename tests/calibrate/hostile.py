"""A bundle that plain INT8 damages: an activation with a planted outlier, in a model that sorts colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from s2d_edge.contracts.bundle import Bundle, Target, open_bundle, seal
from tests.firmware_host.graphs import FRAMES, SIZE, make_bundle

_WIDTH, _PATCH = 24, 4


def write_hostile(path: Path, target: Target, *, outlier: float = 0.0, gain: float = 1.0) -> Bundle:
    """Write a bundle that predicts the strongest colour: two convolutions over patches, mean, two linears.

    In floating point the predictions depend on neither argument. In 8 bits the step of a range that includes
    the outlier is as large as the difference between two colours.

    Args:
        outlier: value, on every clip, of one input channel of the second linear; the bias after it cancels
            the effect.
        gain: factor by which one input channel of the second convolution is larger, and its weights smaller.
    """
    bundle = make_bundle(
        path, graph="model.onnx" if target in ("jetson", "cpu") else "model.xml", target=target
    )
    file = path / "model.onnx"
    _write_onnx(file, outlier, gain)
    if bundle.graph_path != file:
        import openvino as ov

        ov.save_model(ov.convert_model(file), bundle.graph_path, compress_to_fp16=False)
        file.unlink()
    seal(path, bundle.manifest)
    return open_bundle(path)


def _write_onnx(file: Path, outlier: float, gain: float) -> None:
    generator = np.random.default_rng(0)
    # Every filter reads one colour of its patch, and so does every channel after it.
    filters = np.zeros((_WIDTH, 3, _PATCH, _PATCH), np.float32)
    colour_of = np.arange(_WIDTH) % 3
    filters[np.arange(_WIDTH), colour_of] = generator.uniform(0.5, 1.5, (_WIDTH, _PATCH, _PATCH)) / _PATCH**2
    filters[0] *= gain
    mix = np.eye(_WIDTH) + 0.1 * generator.normal(size=(_WIDTH, _WIDTH))
    unmix = np.linalg.inv(mix)
    mix[:, 0] /= gain
    first = (np.eye(_WIDTH) + 0.1 * generator.normal(size=(_WIDTH, _WIDTH))).astype(np.float32)
    colours = np.linalg.pinv(first) @ unmix.T @ (np.eye(3)[colour_of] * 3 / _WIDTH)  # (D, K)
    first = np.concatenate([first, np.zeros((_WIDTH, 1))], axis=1)  # a channel that reads nothing
    cancelled = generator.normal(size=(1, 3))  # added to each logit by the outlier's channel
    second = np.concatenate([colours, cancelled])
    constants: dict[str, NDArray[np.generic]] = {
        "range": np.array(255, np.float32),
        "filters": filters,
        "mix": mix.astype(np.float32)[:, :, None, None],
        "first": first.astype(np.float32),
        "first_bias": np.eye(_WIDTH + 1, dtype=np.float32)[-1:] * np.float32(outlier),
        "second": second.astype(np.float32),
        "second_bias": (-outlier * cancelled).astype(np.float32),
        "shape": np.array([FRAMES, SIZE, SIZE, 3]),
        "half": np.array([FRAMES, 3, SIZE // 2, SIZE // 2]),
        "sides": np.array([0, 2, 3]),
        "row": np.array([1, _WIDTH]),
    }
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Cast", ["clip"], ["float"], to=TensorProto.FLOAT),
            node("Reshape", ["float", "shape"], ["pictures"]),
            node("Transpose", ["pictures"], ["channels"], perm=[0, 3, 1, 2]),
            node("Div", ["channels", "range"], ["scaled"]),
            node("Resize", ["scaled", "", "", "half"], ["smaller"], mode="linear"),
            node("Conv", ["smaller", "filters"], ["patches"], strides=[_PATCH, _PATCH]),
            node("Conv", ["patches", "mix"], ["mixed"]),
            node("ReduceMean", ["mixed", "sides"], ["mean"], keepdims=0),
            node("Reshape", ["mean", "row"], ["feature"]),
            node("MatMul", ["feature", "first"], ["hidden"], name="first_linear"),
            node("Add", ["hidden", "first_bias"], ["large"]),
            node("MatMul", ["large", "second"], ["sum"], name="second_linear"),
            node("Add", ["sum", "second_bias"], ["logits"]),
        ],
        "hostile",
        [helper.make_tensor_value_info("clip", TensorProto.UINT8, (1, FRAMES, SIZE, SIZE, 3))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)
