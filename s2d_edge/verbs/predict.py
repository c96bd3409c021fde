"""``predict``: clips in, a prediction for each out; or one for every part of a video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import s2d_edge
from s2d_edge.core.errors import MediaError
from s2d_edge.verbs.options import Debug, Device, Json, Quiet, keep_inputs


def predict(
    model: Annotated[str, typer.Argument(metavar="BUNDLE_OR_RUN", help="The model, such as starter.")],
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Videos, pictures, or folders of frames.")
    ],
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Predict a window every so many seconds of each video, as JSON lines, instead of its first "
            "and last window as one clip.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With --every: draw the expressions over time to FILE (.png, .svg or .pdf)."
        ),
    ] = None,
    no_crop: Annotated[
        bool,
        typer.Option("--no-crop", help="Take the frames as they are, resized only if their size differs."),
    ] = False,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Classify video files, pictures or folders of frames, one clip each.

    A long video is predicted from its first and its last window; --every predicts all of it. Files that
    cannot be read are named, the others predicted, and the exit code is 1.
    """
    from s2d_edge.verbs.predict_clips import predict_clips
    from s2d_edge.verbs.predict_windows import check_plot, predict_windows

    console = s2d_edge.Console(quiet=quiet)
    keep_inputs(json, paths)
    check_plot(plot, every, paths)  # before a model is opened
    _require_some(paths)
    unreadable: list[dict[str, Any]] = []

    def skip(path: Path, error: MediaError) -> None:
        unreadable.append({"path": str(path), "error": str(error)})
        console.fault(str(error))

    with s2d_edge.load(model, device=device, console=console) as opened:
        console.say(opened.description)
        if every is None:
            predict_clips(
                opened, paths, console, crop=not no_crop, json=json, skip=skip, unreadable=unreadable
            )
        else:
            predict_windows(opened, paths, console, every, crop=not no_crop, json=json, plot=plot, skip=skip)
    if unreadable:
        if len(paths) > 1:
            console.say(f"{len(unreadable)} of {len(paths)} cannot be read; the others were predicted")
        raise typer.Exit(1)


def _require_some(paths: list[Path]) -> None:
    """See that one of the paths is there.

    Raises:
        MediaError: names the first.
    """
    from s2d_edge.api.model import require_existing

    if not any(path.exists() for path in paths):
        require_existing(paths[:1])
