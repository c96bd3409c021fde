"""``demo``: the whole way on data that the project draws itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s2d_edge.verbs.options import Debug, Quiet


def demo(
    out: Annotated[
        Path | None, typer.Option(help="Folder for everything the demo makes; default: demo.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training.")] = 0,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Go the whole way on data the project draws itself: train, export, calibrate, measure, run."""
    from s2d_edge.core.console import Console
    from s2d_edge.verbs.demo_steps import run_demo

    run_demo(out, seed, Console(quiet=quiet))
