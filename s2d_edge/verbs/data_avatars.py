"""``data avatars``: a data set of drawn faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s2d_edge.verbs.options import Debug, Quiet


def avatars(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    clips_per_class: Annotated[
        int, typer.Option(help="Clips of each expression, shared out over train, val and test.")
    ] = 144,
    frames: Annotated[int, typer.Option(help="Frames per clip.")] = 8,
    fps: Annotated[float, typer.Option(help="Frames per second.")] = 4.0,
    size: Annotated[int, typer.Option(help="Side of the frames, pixels.")] = 160,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of everything drawn: the same seed gives the same bytes.")
    ] = 0,
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
