"""``import``: official S2D weights in, a run folder out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s2d_edge.verbs.options import Debug, Quiet

if TYPE_CHECKING:
    from s2d_edge.core.console import Console


def import_(
    checkpoint: Annotated[Path, typer.Argument(help="Official S2D weights, image or video stage.")],
    landmark: Annotated[Path, typer.Option(help="The MobileFaceNet landmark weights used beside them.")],
    labels: Annotated[
        str, typer.Option(help="dfew, ferv39k, mafw, affectnet7, …, or the class names in order: a,b,c.")
    ],
    heads: Annotated[
        int | None, typer.Option(help="Attention heads of the ViT; default: width / 64.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Rate at which videos are sampled; default: the label set's.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Run folder to write; default: runs/CHECKPOINT.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write official S2D weights as a run folder."""
    from s2d_edge.core.console import Console

    import_run(
        checkpoint,
        landmark=landmark,
        labels=labels,
        heads=heads,
        fps=fps,
        out=out,
        console=Console(quiet=quiet),
    )


def import_run(
    checkpoint: Path,
    *,
    landmark: Path,
    labels: str,
    heads: int | None = None,
    fps: float | None = None,
    out: Path | None = None,
    console: Console,
) -> Path:
    """Write the run folder of an official checkpoint.

    Args:
        checkpoint: official S2D weights.
        landmark: the landmark network's weights.
        labels: a known set's name, or the class names between commas, in order.
        heads: attention heads of the ViT; None is width / 64.
        fps: rate at which videos are sampled, frames per second; None is the label set's.
        out: the run folder; None is ``runs/CHECKPOINT``.
        console: prints what was found in the checkpoint.

    Returns:
        The run folder.

    Raises:
        CheckpointError: a file is missing or damaged, or keys do not fit, each named.
        ConfigError: labels or rate make no sense.
    """
    from s2d_edge.contracts.bundle import tool_versions
    from s2d_edge.contracts.clip import CropRecipe
    from s2d_edge.contracts.labels import parse_label_set
    from s2d_edge.contracts.names import name_of
    from s2d_edge.contracts.runs import FRESH_HEAD, RUNS, RunInfo
    from s2d_edge.core.claims import choose_output
    from s2d_edge.core.files import sha256_of, whole_folder
    from s2d_edge.model.checkpoint import save_run
    from s2d_edge.model.official import import_official

    label_set = parse_label_set(labels, fps)
    imported = import_official(checkpoint, landmark, label_set.labels, heads=heads)
    config = imported.model.config
    out = choose_output(out, RUNS / checkpoint.stem)
    info = RunInfo(
        name=name_of(out),
        stage="image" if config.temporal is None else "video",
        labels=label_set.labels,
        fps=label_set.fps,
        crop=CropRecipe(size=config.vit.image_size),
        model=config,
        origin={
            "imported": checkpoint.name,
            "imported_sha256": sha256_of(checkpoint),
            "landmark": landmark.name,
            "landmark_sha256": sha256_of(landmark),
            **({"head": FRESH_HEAD} if imported.fresh_head else {}),
        },
        tools=tool_versions("torch"),
    )
    with whole_folder(out) as scratch:
        save_run(scratch, info, imported.model)
    for note in imported.notes:
        console.say(f"note: {note}")
    console.say(f"{info.stage} model, {config.frames} frames: {imported.model.count_parameters()}")
    following = f"train --init {out}" if imported.fresh_head else f"export {out} --target jetson"
    console.say(f"wrote {out}; next: s2d-edge {following}")
    return out
