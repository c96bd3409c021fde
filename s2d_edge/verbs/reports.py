"""The verbs that read what ``calibrate`` measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from s2d_edge.verbs.options import Debug, Device, Json, Quiet


def report(
    bundle: Annotated[
        Optional[str],  # noqa: UP045  (Typer on Python 3.10 reads it at run time)
        typer.Argument(metavar="[BUNDLE]", help="An INT8 bundle; default: the newest under bundles/."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page with its plots in a browser.")] = False,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tell what INT8 cost a bundle, and where the page with the plots is."""
    from s2d_edge.core.console import Console
    from s2d_edge.verbs.report import show_report

    show_report(bundle, open_page=open_, json=json, console=Console(quiet=quiet))


def compare(
    bundles: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="[BUNDLE...]", help="Default: every bundle under bundles/."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time them now, in turn, instead of quoting their reports.")
    ] = False,
    rounds: Annotated[int, typer.Option(help="Timed answers per bundle, with --measure.")] = 20,
    device: Device = "auto",
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE.md|FILE.csv", help="Write the table there too."),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Put bundles into one table: accuracy, what INT8 cost it, time and size."""
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.core.errors import ConfigError
    from s2d_edge.verbs.compare import compare_bundles

    if out is not None and out.suffix not in (".md", ".csv"):
        raise ConfigError(f"--out {out}: tables are written as .md or .csv")
    result = compare_bundles(
        bundles or [],
        measure_rounds=rounds if measure else None,
        device=device,
        out=out,
        console=Console(quiet=quiet),
    )
    if json is not None:
        write_json(json, result)
