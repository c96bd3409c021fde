"""The graphs of a face search: those of a bundle's face pack, or of the installed MediaPipe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from s2d_edge import starter
from s2d_edge.contracts.bundle import Bundle, find_bundles, open_bundle
from s2d_edge.core.errors import MissingExtraError
from s2d_edge.media.faces.cpu import Compile, Graph, cpu_runtime, openvino_runtime

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

    def __init__(self, files: FaceFiles, compiled: Compile) -> None:
        """Take the files, and what compiles them."""
        self._files, self._compile = files, compiled

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
    """Open the face pack of a bundle on a CPU, else the graphs of the installed MediaPipe.

    MediaPipe is not imported. Where it is missing and no bundle is given, the face pack of the starter is
    taken, if this installation holds one.

    Raises:
        MissingExtraError: there is no pack and no MediaPipe, or no runtime for the graphs.
    """
    pack = None if bundle is None else pack_of(bundle)
    if bundle is not None and pack is not None:
        return FaceGraphs(pack, cpu_runtime(bundle.manifest.graph).compiled)
    if has_mediapipe():
        runtime = openvino_runtime()
        if runtime is None:
            raise MissingExtraError("openvino", "train", "searching for faces with MediaPipe's graphs")
        return FaceGraphs(installed_files(), runtime.compiled)
    if bundle is not None:
        raise MissingExtraError("mediapipe", "mediapipe", f"finding faces for {_packless(bundle)}")
    shipped = shipped_pack()
    pack = None if shipped is None else pack_of(shipped)
    if pack is None:
        raise MissingExtraError("mediapipe", "mediapipe", "finding faces")
    return FaceGraphs(pack, cpu_runtime().compiled)


def pack_of(bundle: Bundle) -> FaceFiles | None:
    """Return the files of a bundle's face pack; None where it has none."""
    face = bundle.manifest.face
    if face is None:
        return None
    return FaceFiles(near=bundle.path / face.near, far=bundle.path / face.far, mesh=bundle.path / face.mesh)


def has_mediapipe() -> bool:
    """Return whether MediaPipe is installed, without importing it."""
    return _mediapipe_folder() is not None


def installed_files() -> FaceFiles:
    """Return the TFLite files of the installed MediaPipe.

    Raises:
        MissingExtraError: MediaPipe is not installed.
    """
    root = _mediapipe_folder()
    if root is None:
        raise MissingExtraError("mediapipe", "train", "making the face pack of a bundle")
    return FaceFiles(near=root / NEAR, far=root / FAR, mesh=root / MESH)


def _mediapipe_folder() -> Path | None:
    found = find_spec("mediapipe")
    return None if found is None or found.origin is None else Path(found.origin).parent


def shipped_pack() -> Bundle | None:
    """Return a bundle of the starter with a face pack; None where none has one, as in a checkout."""
    for path, manifest in find_bundles(Path(starter.__path__[0])):
        if manifest.face is not None:
            return open_bundle(path)
    return None


def _packless(bundle: Bundle) -> str:
    version = bundle.manifest.format_version
    return f"{bundle.path} of format {version}, which has no face pack until it is exported again,"
