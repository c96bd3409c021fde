"""Which bundle a verb means: the one asked for, the newest under ``bundles/``, or the starter."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from s2d_edge import starter
from s2d_edge.contracts.bundle import BUNDLES, MANIFEST, Target
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError
from s2d_edge.firmware_host.engines import choose_bundle, choose_starter


def find_bundle(path: Path | None, device: str, console: Console, *, root: Path = BUNDLES) -> Path:
    """The folder of the bundle that is meant.

    Args:
        path: as asked for, see :func:`named`; None takes the newest under ``root`` that fits this machine,
            and where there is none, the starter.
        device: as ``--device`` says.

    Raises:
        BundleError: there is none, or none that this machine can run on ``device``.
    """
    if path is not None:
        return named(path, device, console)
    if not holds_bundles(root) and ships_starter():
        return fall_back(device, console, f"no bundle under {root}/")
    return choose_bundle(root, device)


def named(path: Path, device: str, console: Console) -> Path:
    """The folder that was asked for: ``starter`` and ``starter-TARGET`` lie in the package.

    An installation that ships no starter knows no such names; there they are paths like all others.

    Raises:
        BundleError: no starter for that target, or for this machine with ``device``.
    """
    if not starter.is_name(path) or not ships_starter():
        return path
    target = path.name.removeprefix(starter.NAME).removeprefix("-")
    if target and target not in get_args(Target):
        return path
    if path.is_dir():
        console.say(f"{path} names the model that s2d-edge ships; the folder here is ./{path}")
    if not target:
        return choose_starter(device)
    if not (starter.FOLDER / target / MANIFEST).is_file():
        shipped = sorted(file.parent.name for file in starter.FOLDER.glob(f"*/{MANIFEST}"))
        raise BundleError(
            f"{path}: s2d-edge ships no {starter.NAME} for {target}; there is "
            f"{', '.join(f'{starter.NAME}-{each}' for each in shipped)}"
        )
    return starter.FOLDER / target


def fall_back(device: str, console: Console, why: str) -> Path:
    """The starter's bundle that fits this machine, and a word that it is no model of the user's own.

    Raises:
        BundleError: none that this machine can run on ``device``.
    """
    chosen = choose_starter(device)
    console.say(
        f"{why}: taking {starter.name_of(chosen)}, a small model that s2d-edge ships; what it is and is not "
        f"for: {starter.FOLDER / starter.CARD}"
    )
    return chosen


def ships_starter() -> bool:
    """Whether this installation holds a bundle of the starter."""
    return holds_bundles(starter.FOLDER)


def holds_bundles(root: Path) -> bool:
    """Whether there is a bundle, readable or not."""
    return any(not file.parent.name.startswith(".") for file in root.glob(f"*/{MANIFEST}"))
