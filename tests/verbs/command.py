"""The command line, as tests call it: in this process, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from s2d_edge.verbs import main as cli

# Refuses the packages a device does not have, as their absence would.
BLOCK_TRAINING = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "nncf"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
sys.meta_path.insert(0, Absent())
"""


def verbs() -> dict[tuple[str, ...], TyperCommand]:
    """Every verb of the command line by its words, such as ``("data", "check")``."""
    return dict(_verbs_of(typer.main.get_command(cli.app), ()))


def _verbs_of(command: object, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    if isinstance(command, TyperGroup):
        for name, part in command.commands.items():
            yield from _verbs_of(part, (*words, name))
    elif isinstance(command, TyperCommand):
        yield words, command


def run(*words: object) -> int:
    """Run the command line in this process; returns its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["s2d-edge", *map(str, words)])
        try:
            cli.main()
        except SystemExit as stopped:
            return int(stopped.code or 0)
    return 0


def s2d_edge(*arguments: str, cwd: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, after ``code``, with its cache under ``cwd``."""
    program = f"{code}\nfrom s2d_edge.verbs.main import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env={**os.environ, "S2D_EDGE_CACHE": str(cwd / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
