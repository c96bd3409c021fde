"""``compare``: bundles in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s2d_edge.verbs.options import Debug, Device, Json, Quiet


def compare(
    bundles: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BUNDLE...]", help="Default: every bundle under bundles/."),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time them now, in turn, instead of quoting their reports.")
    ] = False,
    rounds: Annotated[int, typer.Option(help="Timed inferences per bundle, with --measure.")] = 20,
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.md|FILE.csv", help="Write the table there too.")
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Put bundles into one table: accuracy, what INT8 cost it, time and size."""
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.core.errors import ConfigError
    from s2d_edge.core.files import require_writable
    from s2d_edge.verbs.compare_bundles import compare_bundles

    if out is not None and out.suffix not in (".md", ".csv"):
        raise ConfigError(f"--out {out}: tables are written as .md or .csv; give a name that ends so")
    if out is not None:
        require_writable(out, "--out")
    result = compare_bundles(
        bundles or [],
        measure_rounds=rounds if measure else None,
        device=device,
        out=out,
        console=Console(quiet=quiet),
    )
    if json is not None:
        write_json(json, result)
