"""``doctor``: what this machine has for each part of the toolkit, and the next step where something lacks."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.table import Table

from s2d_edge.contracts.bundle import find_bundles, open_bundle, tool_versions
from s2d_edge.core.console import Console
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.firmware_host import bundles
from s2d_edge.verbs.doctor_devices import nvidia_finding, openvino_findings, target_findings
from s2d_edge.verbs.findings import Finding

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


def examine() -> list[Finding]:
    """Look at packages, runtimes, devices and cameras. Nothing is opened for longer than a look."""
    onnx = _onnxruntime_providers()
    openvino, *npu = openvino_findings()
    return [
        Finding(part="Python", ready=True, found=sys.version.split()[0]),
        _import_of("OpenCV", "cv2"),
        _import_of("MediaPipe FaceMesh", "mediapipe"),
        openvino,
        *npu,
        onnx,
        nvidia_finding(),
        _training(),
        _extras(),
        *target_findings(openvino.found, onnx.found),
        _starter(),
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


def _onnxruntime_providers() -> Finding:
    try:
        import onnxruntime
    except ImportError:
        return Finding(
            part="ONNX Runtime",
            ready=False,
            found="not installed",
            next_step="pip install 's2d-edge[ort]'; on a Jetson, NVIDIA's wheel",
        )
    providers = ", ".join(onnxruntime.get_available_providers())
    return Finding(part="ONNX Runtime", ready=True, found=f"{onnxruntime.__version__}: {providers}")


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


def _extras() -> Finding:
    """Which of the optional parts of the installed distribution are complete."""
    wanted: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires("s2d-edge") or []
    except metadata.PackageNotFoundError:
        return Finding(
            part="extras", ready=False, found="s2d-edge itself is not installed", next_step="pip install ."
        )
    for requirement in requirements:
        found = re.match(r"([\w.-]+).*extra == ['\"]([\w-]+)['\"]", requirement)
        if found is not None:
            wanted.setdefault(found.group(2), []).append(found.group(1))
    installed = tool_versions(*{package for packages in wanted.values() for package in packages})
    complete = [extra for extra, packages in wanted.items() if installed.keys() >= set(packages)]
    lacking = [extra for extra in wanted if extra not in complete]
    return Finding(
        part="extras",
        ready=True,
        found=", ".join(complete) or "none",
        next_step=f"if wanted: pip install 's2d-edge[EXTRA]', EXTRA one of {', '.join(lacking)}"
        if lacking
        else "",
    )


def _starter() -> Finding:
    """The shipped bundles, and which of them ``starter`` means here."""
    shipped = sorted(path for path, _ in find_bundles(bundles.STARTER_FOLDER))
    if not shipped:
        return Finding(part="starter", ready=False, found="none is shipped", next_step="s2d-edge export")
    try:
        chosen = open_bundle(bundles.starter_for())
    except S2DEdgeError as error:
        return Finding(part="starter", ready=False, found=str(error), next_step="reinstall s2d-edge")
    names = ", ".join(bundles.display_name(path) for path in shipped)
    found = f"{names}; 'starter' means {bundles.display_name(chosen.path)}"
    return Finding(
        part="starter",
        ready=True,
        found=found,
        next_step=f"read {bundles.STARTER_FOLDER / bundles.STARTER_CARD}",
    )


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
