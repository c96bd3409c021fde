"""``doctor``: what this machine has for each part of the toolkit, and the next step where something lacks."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from s2d_edge.bundle import tool_versions
from s2d_edge.console import Console
from s2d_edge.errors import S2DEdgeError

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
_TRAIN_PACKAGES = (
    "torch",
    "onnx",
    "onnxscript",
    "nncf",
    "safetensors",
    "lightning-fabric",
    "tensorboardX",
    "matplotlib",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report.

    Attributes:
        part: what was looked at.
        ready: whether it works.
        found: what is there.
        next_step: what to do where it is not ready; empty otherwise.
        needed: whether the toolkit is of no use without it.
    """

    part: str
    ready: bool
    found: str
    next_step: str = ""
    needed: bool = False


def examine() -> list[Finding]:
    """Look at packages, runtimes, devices and cameras. Nothing is opened for longer than a look."""
    openvino = _openvino_devices()
    onnx = _onnxruntime_providers()
    return [
        Finding(part="Python", ready=True, found=sys.version.split()[0]),
        _import_of("OpenCV", "cv2"),
        _import_of("MediaPipe FaceMesh", "mediapipe"),
        openvino,
        onnx,
        _training(),
        *_targets(openvino.found, onnx.found),
        _cameras(),
    ]


def _import_of(part: str, module: str) -> Finding:
    try:
        version = getattr(importlib.import_module(module), "__version__", "present")
    except ImportError as error:
        return Finding(part=part, ready=False, found=str(error), next_step=_remedy(error), needed=True)
    return Finding(part=part, ready=True, found=version)


def _remedy(error: ImportError) -> str:
    library = re.search(r"(lib[\w.+-]+\.so[.\d]*)", str(error))
    if library is None:
        return f"pip install {error.name}" if error.name else "reinstall s2d-edge"
    name = library.group(1)
    package = _LIBRARY_PACKAGES.get(name)
    if package is None:
        return f"install the system package that holds {name}"
    return f"the system library {name} is missing: apt-get install {package}"


def _openvino_devices() -> Finding:
    def look() -> str:
        import openvino

        core = openvino.Core()
        return ", ".join(
            f"{name} ({str(core.get_property(name, 'FULL_DEVICE_NAME')).strip()})"
            for name in core.available_devices
        )

    return _runtime("OpenVINO", "openvino", look, "pip install openvino")


def _onnxruntime_providers() -> Finding:
    def look() -> str:
        import onnxruntime

        return ", ".join(onnxruntime.get_available_providers())

    return _runtime(
        "ONNX Runtime", "onnxruntime", look, "pip install 's2d-edge[ort]'; on a Jetson, JetPack's wheel"
    )


def _runtime(part: str, package: str, look: Callable[[], str], next_step: str) -> Finding:
    try:
        found = look()
    except ImportError:
        return Finding(part=part, ready=False, found="not installed", next_step=next_step)
    return Finding(part=part, ready=bool(found), found=f"{tool_versions(package).get(package, '')}: {found}")


def _training() -> Finding:
    versions = tool_versions(*_TRAIN_PACKAGES)
    missing = [package for package in _TRAIN_PACKAGES if package not in versions]
    found = ", ".join(f"{package} {versions[package]}" for package in _TRAIN_PACKAGES if package in versions)
    return Finding(
        part="training and export",
        ready=not missing,
        found=found or "not installed",
        next_step=f"pip install 's2d-edge[train]' (for {', '.join(missing)})" if missing else "",
    )


def _targets(openvino: str, onnx: str) -> list[Finding]:
    """For each kind of device: can this machine run its bundles on the device itself?"""
    devices = set(re.findall(r"(?:^|[:,] )([A-Z]+)[.0-9]* \(", openvino))
    elsewhere = "not on this machine: export and calibrate here, run there"
    checks = (
        ("target jetson", "TensorrtExecutionProvider" in onnx or "CUDAExecutionProvider" in onnx),
        ("target intel-npu", "NPU" in devices),
        ("target intel-gpu", "GPU" in devices),
        ("target intel-cpu", "CPU" in devices),
        ("target cpu", "CPU" in devices or "CPU" in onnx),
    )
    return [
        Finding(
            part=part,
            ready=here,
            found="its runtime sees the device" if here else "its runtime sees no such device",
            next_step="" if here else elsewhere,
        )
        for part, here in checks
    ]


def _cameras() -> Finding:
    nodes = sorted(str(path) for path in Path("/dev").glob("video*"))
    return Finding(
        part="cameras",
        ready=bool(nodes),
        found=", ".join(nodes) or "none under /dev",
        next_step="" if nodes else "plug one in, or use --source with a file or a URL",
    )


def report(console: Console) -> list[dict[str, Any]]:
    """Print the findings and return them for JSON.

    Raises:
        S2DEdgeError: a part nothing works without is missing; says what to do.
    """
    findings = examine()
    table = Table(show_header=True)
    for column in ("", "part", "found", "next step"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ready else "[red]no[/]" if finding.needed else "[yellow]–[/]"
        table.add_row(mark, finding.part, finding.found, finding.next_step)
    console.show(table)
    broken = [finding for finding in findings if finding.needed and not finding.ready]
    if broken:
        raise S2DEdgeError("; ".join(f"{finding.part}: {finding.next_step}" for finding in broken))
    return [asdict(finding) for finding in findings]
