"""Options that several verbs have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

_state = {"debug": False}


def debugging() -> bool:
    """Return True if ``--debug`` was given."""
    return _state["debug"]


def _set_debug(value: bool) -> None:
    _state["debug"] = _state["debug"] or value


def _writable(json: str | None) -> str | None:
    """Refuse a ``--json`` that could not be written after the work."""
    from s2d_edge.core.files import require_writable

    if json not in (None, "-"):
        require_writable(Path(json), "--json")
    return json


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.", callback=_set_debug, is_eager=True)]
Json = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="FILE|-",
        help="Write JSON to FILE, or alone on stdout with '-'.",
        callback=_writable,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, gpu, npu, cuda or tensorrt; auto takes the bundle's target device if this machine "
        "has it, else the CPU. gpu, npu, cuda and tensorrt are experimental: built to the documentation, not "
        "run on a device."
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="CSV|FOLDER|NAME:ROOT",
        help="A CSV file, a folder with labels.csv, SPLIT/LABEL folders, or a published set such as "
        "dfew/1:ROOT; default: the embedded avatars.",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="CSV|FOLDER|NAME:ROOT",
        help="A CSV file, a folder with labels.csv, SPLIT/LABEL folders, or a published set such as "
        "dfew/1:ROOT; several are joined by the names of their labels. Default: the embedded avatars.",
    ),
]
SkipUnreadable = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable",
        help="Leave out, and count, clips that cannot be read, instead of stopping at the first.",
    ),
]
Protocol = Annotated[
    str,
    typer.Option(
        metavar="default|paper",
        help="paper: sample a published set, and choose the best epoch, as the official code does.",
    ),
]


def keep_inputs(json: str | None, inputs: Sequence[str | Path | None]) -> None:
    """See that ``--json`` would not write over something that the command reads.

    Raises:
        ConfigError: it would.
    """
    from s2d_edge.core.claims import refuse_same

    if json not in (None, "-"):
        refuse_same(Path(json), "--json", [Path(each) for each in inputs if each is not None])
