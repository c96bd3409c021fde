"""``export``: a run folder in, a full-precision bundle out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import s2d_edge
from s2d_edge.verbs.options import Debug, Quiet


def export(
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Default: the newest run under runs/.")
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            help="jetson, intel-npu, intel-gpu, intel-cpu, or cpu (the faster runtime here). jetson, "
            "intel-npu and intel-gpu are experimental: built to the documentation, not run on a device."
        ),
    ] = "cpu",
    mode: Annotated[
        str,
        typer.Option(
            metavar="window|stream",
            help="window predicts from windows of T frames; stream, for a causal model, predicts at every "
            "frame at the cost of one.",
        ),
    ] = "window",
    data: Annotated[
        str | None,
        typer.Option(
            metavar="CSV|FOLDER|NAME:ROOT", help="Clips to check parity on; default: drawn avatars."
        ),
    ] = None,
    parity_clips: Annotated[int, typer.Option(help="How many clips to check parity on.")] = 4,
    out: Annotated[Path | None, typer.Option(help="Where to write; default: bundles/RUN-TARGET.")] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a full-precision bundle for a target: adapters fused, preprocessing inside, parity checked."""
    s2d_edge.export(
        run,
        target=target,
        mode=mode,
        data=data,
        parity_clips=parity_clips,
        out=out,
        console=s2d_edge.Console(quiet=quiet),
    )
