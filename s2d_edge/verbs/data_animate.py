"""``data animate``: labelled photographs of faces in, clips out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s2d_edge.verbs.options import Debug, Json, Quiet


def animate(
    stills: Annotated[
        str,
        typer.Argument(help="Labelled photographs: a CSV file, a folder with labels.csv, or SPLIT/LABEL."),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write, or whose interrupted animation to resume.")],
    clips: Annotated[int, typer.Option(help="Clips of each still.")] = 1,
    frames: Annotated[int, typer.Option(help="Frames per clip.")] = 16,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 8.0,
    size: Annotated[
        int | None, typer.Option(help="Longer side of the frames, pixels; default: the still's own.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    direction: Annotated[
        bool,
        typer.Option(
            "--direction",
            help="Two classes of each expression, LABEL-onset and LABEL-offset: the same frames, reversed.",
        ),
    ] = False,
    split: Annotated[str | None, typer.Option(help="Animate this split only.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Animate N stills of each split only, for a quick try."),
    ] = None,
    neutral: Annotated[str, typer.Option(help="The label of faces at rest.")] = "neutral",
    resting: Annotated[
        str | None,
        typer.Option(metavar="CSV|FOLDER", help="Learn faces at rest from these stills instead."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one per core.")] = None,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Animate labelled photographs of faces: clips that go from rest to the photograph's expression."""
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.data.animate import AnimateSettings, animate_stills

    settings = AnimateSettings(
        clips=clips,
        frames=frames,
        fps=fps,
        size=size,
        seed=seed,
        direction=direction,
        split=split,
        limit=limit,
        neutral=neutral,
        resting=resting,
    )
    done = animate_stills(stills, out, settings, Console(quiet=quiet), workers=workers)
    if json is not None:
        write_json(json, done)
