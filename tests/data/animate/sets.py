"""Make and read sets of animated stills."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from s2d_edge.core.console import Console
from s2d_edge.core.files import sha256_of
from s2d_edge.data.animate import AnimateSettings, animate_stills

QUIET = Console(quiet=True)
FEW = AnimateSettings(frames=4, seed=5)
LABELS = ("glad", "neutral", "sad")


def contents(root: Path) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): sha256_of(p) for p in sorted(root.rglob("*")) if p.is_file()}


def rows_of(root: Path, name: str = "labels.csv") -> list[dict[str, str]]:
    with (root / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(photographs: Path, out: Path, settings: AnimateSettings = FEW, workers: int = 1) -> dict[str, Any]:
    return animate_stills(str(photographs), out, settings, QUIET, workers=workers)
