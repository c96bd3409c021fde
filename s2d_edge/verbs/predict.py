"""``predict``: clips in, a prediction for each out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import s2d_edge
from s2d_edge.verbs.options import Debug, Device, Json, Quiet


def predict(
    model: Annotated[str, typer.Argument(metavar="BUNDLE_OR_RUN", help="The model, such as starter.")],
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Videos, pictures, or folders of frames.")
    ],
    no_crop: Annotated[
        bool,
        typer.Option("--no-crop", help="Take the frames as they are, resized only if their size differs."),
    ] = False,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Classify video files, pictures or folders of frames, one clip each."""
    from rich.table import Table

    from s2d_edge.api.model import require_existing
    from s2d_edge.core.console import write_json

    console = s2d_edge.Console(quiet=quiet)
    require_existing(paths)  # before a model is opened
    with s2d_edge.load(model, device=device, console=console) as opened:
        console.say(opened.description)
        predictions = opened.predict_many(paths, crop=not no_crop, console=console)
    table = Table("path", "label", "probability")
    for path, prediction in zip(paths, predictions, strict=True):
        table.add_row(str(path), prediction.label, f"{prediction.probability:.3f}")
    console.show(table)
    if json is not None:
        results = [
            {
                "path": str(path),
                "label": prediction.label,
                "probabilities": prediction.probabilities,
                "logits": list(prediction.logits),
            }
            for path, prediction in zip(paths, predictions, strict=True)
        ]
        write_json(json, {"results": results})
