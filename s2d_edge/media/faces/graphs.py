"""The graphs of an installed MediaPipe, run by OpenVINO on one CPU core."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import MissingExtraError

Floats = NDArray[np.float32]

# Where the package keeps its graphs, all Apache-2.0.
_NEAR = "modules/face_detection/face_detection_short_range.tflite"
_FAR = "modules/face_detection/face_detection_full_range_sparse.tflite"
_MESH = "modules/face_landmark/face_landmark.tflite"
# Points must not depend on how a CPU rounds: without the hint some compute in bfloat16, which moves them by
# 0.4 % of the distance between the eyes.
_PROPERTIES = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}


class FaceGraphs:
    """A detector of near faces, one of far faces, and the mesh; each is compiled when first used."""

    def __init__(self, folder: Path, core: Any) -> None:
        """Take the folder of the package mediapipe, and an OpenVINO core."""
        self._folder, self._core = folder, core

    @cached_property
    def near(self) -> Callable[[Floats], tuple[Floats, Floats]]:
        """(1, 128, 128, 3) float32 in [-1, 1] to boxes (1, 896, 16) and scores (1, 896, 1)."""
        return self._compiled(_NEAR)

    @cached_property
    def far(self) -> Callable[[Floats], tuple[Floats, Floats]]:
        """(1, 192, 192, 3) float32 in [-1, 1] to boxes (1, 2304, 16) and scores (1, 2304, 1)."""
        return self._compiled(_FAR)

    @cached_property
    def mesh(self) -> Callable[[Floats], tuple[Floats, Floats]]:
        """(1, 192, 192, 3) float32 in [0, 1] to points (1, 1, 1, 1404) and presence (1, 1, 1, 1)."""
        return self._compiled(_MESH)

    def close(self) -> None:
        """Free the graphs."""
        for name in ("near", "far", "mesh"):
            self.__dict__.pop(name, None)

    def _compiled(self, file: str) -> Callable[[Floats], tuple[Floats, Floats]]:
        compiled = self._core.compile_model(str(self._folder / file), "CPU", _PROPERTIES)
        request = compiled.create_infer_request()

        def run(picture: Floats) -> tuple[Floats, Floats]:
            results = list(request.infer({0: picture}, share_inputs=True).values())
            large, small = sorted(results, key=lambda each: -each.size)
            return large, small

        return run


def open_graphs() -> FaceGraphs:
    """Open the graphs of the installed MediaPipe, which is not imported.

    Raises:
        MissingExtraError: MediaPipe or OpenVINO is not installed.
    """
    found = find_spec("mediapipe")
    if found is None or found.origin is None:
        raise MissingExtraError("mediapipe", "mediapipe", "searching for faces")
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingExtraError("openvino", "train", "searching for faces with MediaPipe's graphs") from error
    return FaceGraphs(Path(found.origin).parent, openvino.Core())
