"""``train``: labelled clips in, run folders out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import s2d_edge
from s2d_edge.verbs.options import Debug, Protocol, Quiet, Sets, SkipUnreadable


def train(
    stage: Annotated[
        str | None,
        typer.Option(
            metavar="image|video|landmark|pretrain",
            help="One stage only; default: image, then video. landmark: a landmark network from photographs. "
            "pretrain: the ViT alone, from pictures or videos without labels, for --init.",
        ),
    ] = None,
    data: Sets = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…|SET",
            help="Labels to train, in order, or a published set's; clips of others are left out. "
            "Default: all of the data's.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="base, small, tiny, small-112, tiny-112, starter, starter-rgb, demo; "
            "default: --init's, else demo."
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(metavar="RUN|FILE", help="Start from a run, or from a plain ViT in timm's key names."),
    ] = None,
    landmark: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|RUN", help="MobileFaceNet weights; default: a network trained on the avatars."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="quick, demo, faces, landmark, pretrain, paper, or a published set's: dfew, ferv39k, mafw, "
            "affectnet, rafdb; default: by stage, model and data."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="Settings that change the recipe.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. image.lr=1e-3; may be repeated."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of every stage trained.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Side of the model's picture; half the side is a quarter of the patches. Default: --init's, "
            "else the model's.",
        ),
    ] = None,
    frames: Annotated[int | None, typer.Option(help="T, the frames of a clip.")] = None,
    temporal: Annotated[
        str | None,
        typer.Option(
            metavar="bidirectional|causal",
            help="Causal adapters look back only, for streaming; default: --init's, else bidirectional.",
        ),
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUN",
            help="A run of any size whose probabilities are followed beside the labels: an image run in the "
            "image stage, a video run in the video stage; may be repeated, for their mean.",
        ),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Rate at which videos are sampled, frames per second.")
    ] = None,
    protocol: Protocol = "default",
    skip_unreadable: SkipUnreadable = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes cuda if present.")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Run folder; for both stages, -image and -video are added to it."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Continue an interrupted training with the settings it began with."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the image stage, the video stage, or one after the other; writes run folders."""
    s2d_edge.train(
        stage=stage,
        data=data,
        labels=labels,
        model=model,
        init=init,
        landmark=landmark,
        recipe=recipe,
        config=config,
        changes=set_ or (),
        epochs=epochs,
        seed=seed,
        image_size=image_size,
        frames=frames,
        temporal=temporal,
        teacher=teacher,
        fps=fps,
        protocol=protocol,
        skip_unreadable=skip_unreadable,
        device=device,
        out=out,
        resume=resume,
        console=s2d_edge.Console(quiet=quiet),
    )
