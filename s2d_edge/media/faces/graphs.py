"""The graphs of a face search, run on one CPU core by OpenVINO or ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.core.errors import MissingExtraError
from s2d_edge.core.openvino_core import openvino_core

Floats = NDArray[np.float32]
# A picture (1, S, S, 3) float32 to the two outputs of a graph, the larger one first.
Graph = Callable[[Floats], tuple[Floats, Floats]]
Runtime = Callable[[Path], Graph]  # compiles the graph of a file for one CPU core

# Where the package mediapipe keeps its graphs, all Apache-2.0.
NEAR = "modules/face_detection/face_detection_short_range.tflite"
FAR = "modules/face_detection/face_detection_full_range_sparse.tflite"
MESH = "modules/face_landmark/face_landmark.tflite"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceFiles:
    """The files of a detector of near faces, of one of far faces, and of the mesh."""

    near: Path
    far: Path
    mesh: Path


class FaceGraphs:
    """The graphs of a search, each compiled when it is first used."""

    def __init__(self, files: FaceFiles, runtime: Runtime) -> None:
        """Take the files, and a runtime for them."""
        self._files, self._compile = files, runtime

    @cached_property
    def near(self) -> Graph:
        """Map (1, 128, 128, 3) float32 in [-1, 1] to boxes (1, 896, 16) and scores (1, 896, 1)."""
        return self._compile(self._files.near)

    @cached_property
    def far(self) -> Graph:
        """Map (1, 192, 192, 3) float32 in [-1, 1] to boxes (1, 2304, 16) and scores (1, 2304, 1)."""
        return self._compile(self._files.far)

    @cached_property
    def mesh(self) -> Graph:
        """Map (1, 192, 192, 3) float32 in [0, 1] to points and presence.

        Points are (1, 1, 1, 1404): x, y and z of each, pixels of the picture. Presence is (1, 1, 1, 1), a
        logit.
        """
        return self._compile(self._files.mesh)


def open_graphs(bundle: Bundle | None = None) -> FaceGraphs:
    """Open the face pack of a bundle, else the graphs of the installed MediaPipe, which is not imported.

    Raises:
        MissingExtraError: there is no pack and no MediaPipe, or no runtime for the graphs.
    """
    pack = None if bundle is None else pack_of(bundle)
    if pack is not None:
        return FaceGraphs(pack, _openvino() or _onnxruntime())
    runtime = _openvino()
    if runtime is None:
        raise MissingExtraError("openvino", "train", "searching for faces with MediaPipe's graphs")
    return FaceGraphs(installed_files(), runtime)


def pack_of(bundle: Bundle) -> FaceFiles | None:
    """Return the files of a bundle's face pack; None where it has none."""
    face = bundle.manifest.face
    if face is None:
        return None
    return FaceFiles(near=bundle.path / face.near, far=bundle.path / face.far, mesh=bundle.path / face.mesh)


def installed_files() -> FaceFiles:
    """Return the TFLite files of the installed MediaPipe.

    Raises:
        MissingExtraError: MediaPipe is not installed.
    """
    found = find_spec("mediapipe")
    if found is None or found.origin is None:
        raise MissingExtraError("mediapipe", "mediapipe", "searching for faces")
    root = Path(found.origin).parent
    return FaceFiles(near=root / NEAR, far=root / FAR, mesh=root / MESH)


def _openvino() -> Runtime | None:
    """Return OpenVINO as a runtime; None where it is not installed."""
    try:
        core = openvino_core()
    except ModuleNotFoundError:
        return None
    # Points must not depend on how a CPU rounds: without the hint some compute in bfloat16.
    properties = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}

    def compiled(file: Path) -> Graph:
        request = core.compile_model(str(file), "CPU", properties).create_infer_request()
        return lambda picture: _ordered(list(request.infer({0: picture}, share_inputs=True).values()))

    return compiled


def _onnxruntime() -> Runtime:
    """Return ONNX Runtime as a runtime.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnxruntime", "ort", "searching for faces with a bundle's graphs") from error

    def compiled(file: Path) -> Graph:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        (name,) = (each.name for each in session.get_inputs())
        return lambda picture: _ordered(session.run(None, {name: picture}))

    return compiled


def _ordered(outputs: Sequence[Any]) -> tuple[Floats, Floats]:
    one, other = outputs
    return (one, other) if one.size > other.size else (other, one)
