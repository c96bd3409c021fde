"""The part of ``doctor`` that looks at pictures: OpenCV, MediaPipe, and the face search."""

from __future__ import annotations

import importlib
import re

from s2d_edge.contracts.bundle import tool_versions
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.media.faces.graphs import has_mediapipe, shipped_pack
from s2d_edge.verbs.doctor_devices import Diagnosis, Runtimes

# All hold the module cv2, so that two of them overwrite each other's files. The first one there is kept:
# MediaPipe wants it.
_OPENCVS = (
    "opencv-contrib-python",
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
)
# Debian and Ubuntu packages that bring the shared libraries OpenCV and MediaPipe load.
_LIBRARY_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libGLESv2.so.2": "libgles2",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libusb-1.0.so.0": "libusb-1.0-0",
}
_PACKAGES = {"cv2": "opencv-python-headless", "mediapipe": "'s2d-edge[mediapipe]'"}


def diagnose_opencv() -> Diagnosis:
    """Import OpenCV, and see that one package alone holds it."""
    found = _import_of("OpenCV", "cv2", needed=True)
    kept, others = one_opencv()
    if not found.ready or not others:
        return found
    return Diagnosis(
        part="OpenCV",
        ready=False,
        found=f"{found.found}, of {len(others) + 1} packages that overwrite each other: "
        f"{', '.join([kept, *others])}",
        next_step=f"pip uninstall --yes {' '.join(others)}; pip install --force-reinstall --no-deps {kept}",
    )


def one_opencv() -> tuple[str, list[str]]:
    """Return the package of OpenCV to keep, with its version, and those that are installed beside it."""
    there = tool_versions(*_OPENCVS)
    first, *others = [package for package in _OPENCVS if package in there] or [""]
    return f"{first}=={there[first]}" if first else "", others


def diagnose_mediapipe() -> Diagnosis:
    """Import MediaPipe, which makes face packs, and which bundles without one need."""
    if has_mediapipe():
        return _import_of("MediaPipe FaceMesh", "mediapipe", needed=False)
    return Diagnosis(
        part="MediaPipe FaceMesh",
        ready=False,
        found="not installed",
        next_step="for bundles without a face pack: pip install 's2d-edge[mediapipe]' (Python 3.10 to 3.12)",
    )


def diagnose_faces(runtimes: Runtimes) -> Diagnosis:
    """Say what faces are searched with, if a bundle does not bring its own."""
    try:
        pack = shipped_pack()
    except S2DEdgeError as error:
        return Diagnosis(part="face search", ready=False, found=str(error), next_step="reinstall s2d-edge")
    sources = [f"graphs of mediapipe {tool_versions('mediapipe')['mediapipe']}"] if has_mediapipe() else []
    if pack is not None and pack.manifest.face is not None:
        sources.append(f"the starter's face pack, of {pack.manifest.face.source}")
    runtime = runtimes.openvino or runtimes.onnxruntime
    return Diagnosis(
        part="face search",
        ready=bool(sources and runtime),
        found=", ".join(sources) or "the face packs of bundles alone",
        next_step=_missing(bool(sources), bool(runtime)),
    )


def _missing(graphs: bool, runtime: bool) -> str:
    if not runtime:
        return "pip install openvino, or 's2d-edge[ort]'"
    return "" if graphs else "use bundles of format 3, or pip install 's2d-edge[mediapipe]'"


def _import_of(part: str, module: str, *, needed: bool) -> Diagnosis:
    try:
        version = getattr(importlib.import_module(module), "__version__", "present")
    except ImportError as error:
        return Diagnosis(part=part, ready=False, found=str(error), next_step=remedy_of(error), needed=needed)
    return Diagnosis(part=part, ready=True, found=version)


def remedy_of(error: ImportError) -> str:
    """Return what to install where a package cannot be imported."""
    library = re.search(r"(lib[\w.+-]+\.so[.\d]*)", str(error))
    if library is None:
        return f"pip install {_PACKAGES.get(error.name, error.name)}" if error.name else "reinstall s2d-edge"
    name = library.group(1)
    package = _LIBRARY_PACKAGES.get(name)
    if package is None:
        return f"install the system package that holds {name}"
    return f"the system library {name} is missing: apt-get install {package}"
