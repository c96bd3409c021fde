"""The verbs of ``s2d-edge data``: make and check data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from s2d_edge.verbs.options import Debug, Json, Quiet

app = typer.Typer(help="Make and check data sets.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(
    data: Annotated[
        str, typer.Argument(metavar="CSV|FOLDER|NAME:ROOT", help="A data set, as --data takes it.")
    ],
    labels: Annotated[
        Optional[str],  # noqa: UP045  (Typer on Python 3.10 reads it at run time)
        typer.Option(help="The labels there may be: a known set, or a,b,c; default: those there are."),
    ] = None,
    frames: Annotated[int, typer.Option(help="Clips with fewer frames are too short.")] = 16,
    fps: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Rate at which videos are sampled; default: what training takes."),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE.png", help="Draw the class balance."),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Read every clip, and tell what would stop a training or make its score a lie."""
    from s2d_edge.core.console import Console
    from s2d_edge.verbs.data_check import CheckOptions, check_data

    check_data(
        CheckOptions(data=data, labels=labels, frames=frames, fps=fps, out=out, json=json),
        Console(quiet=quiet),
    )


@app.command()
def avatars(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    clips_per_class: Annotated[
        int, typer.Option(help="Clips of each expression, shared out over train, val and test.")
    ] = 144,
    frames: Annotated[int, typer.Option(help="Frames per clip.")] = 8,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 4.0,
    size: Annotated[int, typer.Option(help="Side of the frames, pixels.")] = 160,
    seed: Annotated[int, typer.Option(help="Of everything drawn: the same seed gives the same bytes.")] = 0,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw labelled clips of moving faces: a data set to try everything on."""
    from s2d_edge.core.console import Console
    from s2d_edge.data.avatars import AvatarSpec, write_avatars

    console = Console(quiet=quiet)
    spec = AvatarSpec.of_size(clips_per_class, frames=frames, fps=fps, size=size, seed=seed)
    dataset = write_avatars(out, spec, console)
    console.say(f"{len(dataset.samples)} clips of {spec.subjects} avatars in {out}")


@app.command()
def animate(
    stills: Annotated[
        str,
        typer.Argument(help="Labelled photographs: a CSV file, a folder with labels.csv, or SPLIT/LABEL."),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write, or to go on with.")],
    clips: Annotated[int, typer.Option(help="Clips of each still.")] = 1,
    frames: Annotated[int, typer.Option(help="Frames per clip.")] = 16,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 8.0,
    size: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Longer side of the frames, pixels; default: the still's own."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    direction: Annotated[
        bool,
        typer.Option(
            "--direction",
            help="Two classes of each expression, LABEL-onset and LABEL-offset: the same frames, reversed.",
        ),
    ] = False,
    split: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Animate this split only."),
    ] = None,
    limit: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", help="Animate N stills of each split only, for a quick try."),
    ] = None,
    neutral: Annotated[str, typer.Option(help="The label of faces at rest.")] = "neutral",
    resting: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="CSV|FOLDER", help="Learn faces at rest from these stills instead."),
    ] = None,
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Processes; default: one per core."),
    ] = None,
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
