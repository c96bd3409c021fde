"""Small real bundles: the mean colour of a clip, times a matrix."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import (
    FORMAT_VERSION,
    Bundle,
    CalibrationClip,
    CalibrationRecord,
    FaceRecord,
    Manifest,
    ParityRecord,
    TensorSpec,
    open_bundle,
    seal,
    writing_bundle,
)
from s2d_edge.contracts.clip import CropRecipe

LABELS = ("red", "green", "blue")
FRAMES, SIZE = 4, 48
# Logit k is a tenth of the mean of colour k, so that a clip's prediction is its strongest colour.
COLOUR_TO_LOGIT: NDArray[np.float32] = np.eye(3, dtype=np.float32) / np.float32(10)
CALIBRATED = CalibrationRecord(
    data="test",
    split="val",
    seed=0,
    recipe={},
    int8_mac_fraction=1.0,
    clips=(CalibrationClip(path="clip", sha256="0"),),
)


def make_bundle(
    path: Path,
    *,
    graph: str = "model.xml",
    frames: int = FRAMES,
    size: int = SIZE,
    fps: float = 10.0,
    weights: NDArray[np.float32] = COLOUR_TO_LOGIT,
    **changes: Any,
) -> Bundle:
    """Write, seal and open a bundle; ``changes`` replace fields of its manifest."""
    shape = (1, frames, size, size, 3)
    with writing_bundle(path) as folder:
        if graph == "model.xml":
            _write_openvino(folder / graph, shape, weights)
        else:
            _write_onnx(folder / graph, shape, weights)
        fields: dict[str, Any] = {
            "format_version": 1,
            "name": path.name,
            "source_run": "test",
            "target": "intel-cpu" if graph == "model.xml" else "cpu",
            "precision": "fp32",
            "mode": "window",
            "frames": frames,
            "fps": fps,
            "graph": graph,
            "inputs": (
                TensorSpec(
                    name="clip", layout="BTHWC", shape=shape, dtype="uint8", colour="RGB", range=(0, 255)
                ),
            ),
            "outputs": (TensorSpec(name="logits", layout="BK", shape=(1, 3), dtype="float32"),),
            "labels": LABELS,
            "crop": CropRecipe(size=size),
            "execution": {"cpu": {"INFERENCE_PRECISION_HINT": "f32"}} if graph == "model.xml" else {},
            "tools": {},
            "files": {graph: ""},
            "parity": ParityRecord(clips=1, source="test", tolerance=1e-3, max_abs_logit_diff=0.0),
            "calibration": None,
            "accuracy": None,
        }
        seal(folder, Manifest.model_validate(fields | changes))
    return open_bundle(path)


Pack = tuple[Path, FaceRecord]  # the folder that holds a face pack, and its record


def add_pack(pack: Pack, bundle: Bundle) -> Bundle:
    """Copy a face pack into a bundle's folder, and seal the bundle again."""
    folder, record = pack
    for file in record.files:
        (bundle.path / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / file, bundle.path / file)
    update = {"format_version": FORMAT_VERSION, "face": record}
    return Bundle(bundle.path, seal(bundle.path, bundle.manifest.model_copy(update=update)))


def _write_openvino(file: Path, shape: tuple[int, ...], weights: NDArray[np.float32]) -> None:
    import openvino
    from openvino import opset13 as ops

    clip = ops.parameter(shape, np.uint8, name="clip")
    clip.output(0).get_tensor().set_names({"clip"})
    colour = ops.reduce_mean(ops.convert(clip, "f32"), np.array([1, 2, 3]), keep_dims=False)
    logits = ops.matmul(colour, ops.constant(weights), False, False)
    logits.output(0).get_tensor().set_names({"logits"})
    openvino.save_model(openvino.Model([logits], [clip], "colours"), file, compress_to_fp16=False)


def _write_onnx(file: Path, shape: tuple[int, ...], weights: NDArray[np.float32]) -> None:
    from onnx import TensorProto, checker, helper, numpy_helper, save

    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["clip"], ["frames"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["frames", "axes"], ["colour"], keepdims=0),
            helper.make_node("MatMul", ["colour", "weights"], ["logits"]),
        ],
        "colours",
        [helper.make_tensor_value_info("clip", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3))],
        [
            numpy_helper.from_array(np.array([1, 2, 3]), "axes"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    save(model, file)


def make_stream_bundle(path: Path, *, frames: int = FRAMES, size: int = SIZE) -> Bundle:
    """An ONNX bundle for frames: a tenth of the colours of the frame and of what is not too old."""
    frame = (1, size, size, 3)
    rings = {"classes": (frames, 3), "keys.0": (frames, 2, 3)}
    new = {"class": (1, 3), "key.0": (1, 2, 3)}
    with writing_bundle(path) as folder:
        _write_onnx_stream(folder / "model.onnx", frame, rings, new)
        layouts = {2: "SD", 3: "SND"}
        manifest = make_bundle(folder / "window", graph="model.onnx", frames=frames, size=size).manifest
        shutil.rmtree(folder / "window")
        state = [
            TensorSpec(name=name, layout=layouts[len(shape)], shape=shape, dtype="float32")
            for name, shape in (rings | new).items()
        ]
        inputs = (
            TensorSpec(name="frame", layout="BHWC", shape=frame, dtype="uint8", colour="RGB", range=(0, 255)),
            TensorSpec(name="age", layout="S", shape=(frames,), dtype="int32"),
            *state[: len(rings)],
        )
        changes = {
            "name": path.name,
            "mode": "stream",
            "target": "jetson",
            "inputs": inputs,
            "outputs": (*manifest.outputs, *state[len(rings) :]),
        }
        seal(folder, manifest.model_copy(update=changes))
    return open_bundle(path)


def _write_onnx_stream(
    file: Path, frame: tuple[int, ...], rings: dict[str, tuple[int, ...]], new: dict[str, tuple[int, ...]]
) -> None:
    from onnx import TensorProto, checker, helper, numpy_helper, save

    node = helper.make_node
    frames = rings["classes"][0]
    constants = {
        "sides": np.array([1, 2]),
        "all": np.array([0, 1]),
        "never": np.array(frames, np.int32),
        "row": np.array([1, frames]),
        "column": np.array([frames, 1, 1]),
        "key_shape": np.array(new["key.0"]),
        "tenth": np.array(0.1, np.float32),
    }
    graph = helper.make_graph(
        [
            node("Cast", ["frame"], ["pixels"], to=TensorProto.FLOAT),
            node("ReduceMean", ["pixels", "sides"], ["class"], keepdims=0),
            node("Expand", ["class", "key_shape"], ["key.0"]),
            node("Less", ["age", "never"], ["young"]),
            node("Cast", ["young"], ["seen"], to=TensorProto.FLOAT),
            node("Reshape", ["seen", "row"], ["seen_row"]),
            node("Reshape", ["seen", "column"], ["seen_column"]),
            node("MatMul", ["seen_row", "classes"], ["past"]),
            node("Mul", ["seen_column", "keys.0"], ["seen_keys"]),
            node("ReduceSum", ["seen_keys", "all"], ["past_keys"], keepdims=0),
            node("Sum", ["class", "past", "past_keys"], ["colour"]),
            node("Mul", ["colour", "tenth"], ["logits"]),
        ],
        "colours_of_frames",
        [
            helper.make_tensor_value_info("frame", TensorProto.UINT8, frame),
            helper.make_tensor_value_info("age", TensorProto.INT32, (frames,)),
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in rings.items()),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3)),
            *(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in new.items()),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model, full_check=True)
    save(model, file)
