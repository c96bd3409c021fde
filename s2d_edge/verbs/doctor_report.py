"""``doctor``: report what this machine has for each part of the toolkit, and the next step where it lacks."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from s2d_edge.contracts.bundle import BUNDLES, MANIFEST, find_bundles, open_bundle, tool_versions
from s2d_edge.contracts.runs import RUN_FILE, RUNS, read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.core.files import folders_with
from s2d_edge.firmware_host import bundles
from s2d_edge.verbs.doctor_devices import (
    Diagnosis,
    diagnose_int8,
    diagnose_nvidia,
    diagnose_onnxruntime,
    diagnose_openvino,
    diagnose_targets,
    installed_runtimes,
)
from s2d_edge.verbs.doctor_vision import diagnose_faces, diagnose_mediapipe, diagnose_opencv

_TRAIN_PACKAGES = (
    "torch",
    "onnx",
    "onnxscript",
    "nncf",
    "safetensors",
    "tflite",
    "lightning-fabric",
    "tensorboardX",
    "matplotlib",
)


def examine() -> list[Diagnosis]:
    """Look at packages, runtimes, devices and cameras; opens no camera and loads no graph."""
    runtimes = installed_runtimes()
    return [
        Diagnosis(part="Python", ready=True, found=sys.version.split()[0]),
        diagnose_opencv(),
        diagnose_mediapipe(),
        diagnose_faces(runtimes),
        *diagnose_openvino(runtimes),
        diagnose_onnxruntime(runtimes),
        diagnose_int8(),
        diagnose_nvidia(),
        _training(),
        _extras(),
        *diagnose_targets(runtimes),
        _starter(),
        *_folders(),
        _cameras(),
    ]


def _training() -> Diagnosis:
    versions = tool_versions(*_TRAIN_PACKAGES)
    missing = [package for package in _TRAIN_PACKAGES if package not in versions]
    found = ", ".join(f"{package} {versions[package]}" for package in _TRAIN_PACKAGES if package in versions)
    return Diagnosis(
        part="training and export",
        ready=not missing,
        found=found or "not installed",
        next_step=f"pip install 's2d-edge[train]' (for {', '.join(missing)})" if missing else "",
    )


def _extras() -> Diagnosis:
    """List the extras whose packages are all installed."""
    wanted: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires("s2d-edge") or []
    except metadata.PackageNotFoundError:
        return Diagnosis(
            part="extras", ready=False, found="s2d-edge itself is not installed", next_step="pip install ."
        )
    for requirement in requirements:
        found = re.match(r"([\w.-]+).*extra == ['\"]([\w-]+)['\"]", requirement)
        if found is not None:
            wanted.setdefault(found.group(2), []).append(found.group(1))
    installed = tool_versions(*{package for packages in wanted.values() for package in packages})
    complete = [extra for extra, packages in wanted.items() if installed.keys() >= set(packages)]
    lacking = [extra for extra in wanted if extra not in complete]
    return Diagnosis(
        part="extras",
        ready=True,
        found=", ".join(complete) or "none",
        next_step=f"if wanted: pip install 's2d-edge[EXTRA]', EXTRA one of {', '.join(lacking)}"
        if lacking
        else "",
    )


def _starter() -> Diagnosis:
    """List the shipped bundles, and say which of them ``starter`` means here."""
    shipped = sorted(path for path, _ in find_bundles(bundles.STARTER_FOLDER))
    if not shipped:
        return Diagnosis(part="starter", ready=False, found="none is shipped", next_step="s2d-edge export")
    try:
        chosen = open_bundle(bundles.starter_for())
    except S2DEdgeError as error:
        return Diagnosis(part="starter", ready=False, found=str(error), next_step="reinstall s2d-edge")
    names = ", ".join(bundles.display_name(path) for path in shipped)
    found = f"{names}; 'starter' means {bundles.display_name(chosen.path)}"
    return Diagnosis(
        part="starter",
        ready=True,
        found=found,
        next_step=f"read {bundles.STARTER_FOLDER / bundles.STARTER_CARD}",
    )


def _folders() -> list[Diagnosis]:
    """Name the bundles and runs here that are damaged or newer; choices by default skip them."""
    return [
        *_sound_ones(BUNDLES, MANIFEST, open_bundle),
        *_sound_ones(RUNS, RUN_FILE, lambda path: read_run(path, need_weights=False, encoder_ok=True)),
    ]


def _sound_ones(root: Path, file: str, check: Callable[[Path], object]) -> list[Diagnosis]:
    paths = folders_with(root, file)
    faults = []
    for path in paths:
        try:
            check(path)
        except (S2DEdgeError, OSError) as error:
            faults.append(str(error))
    if not paths:
        return []
    sound = f"{len(paths) - len(faults)} of {len(paths)} sound"
    next_step = "move those away, or make them again; until then they are skipped" if faults else ""
    found = "; ".join([sound, *faults])
    return [Diagnosis(part=f"{root}/ here", ready=not faults, found=found, next_step=next_step)]


def _cameras() -> Diagnosis:
    nodes = sorted(str(path) for path in Path("/dev").glob("video*"))
    return Diagnosis(
        part="cameras",
        ready=bool(nodes),
        found=", ".join(nodes) or "none under /dev",
        next_step="" if nodes else "plug one in, or use --source with a file or a URL",
    )


def report(console: Console) -> list[dict[str, Any]]:
    """Print the report and return it for JSON.

    Raises:
        S2DEdgeError: a part nothing works without is missing; says what to do.
    """
    diagnoses = examine()
    table = Table(show_header=True)
    for column in ("", "part", "found", "next step"):
        table.add_column(column, overflow="fold")
    for each in diagnoses:
        word, colour = ("ok", "green") if each.ready else ("no", "red") if each.needed else ("–", "yellow")
        table.add_row(Text(word, colour), each.part, each.found, each.next_step)
    console.show(table)
    broken = [each for each in diagnoses if each.needed and not each.ready]
    if broken:
        raise S2DEdgeError("; ".join(f"{each.part}: {each.next_step}" for each in broken))
    return [asdict(each) for each in diagnoses]
