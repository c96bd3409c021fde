"""From what the user typed to a plan, a dataset and the sizes of the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from s2d_edge.contracts.clip import as_protocol
from s2d_edge.contracts.labels import DEFAULT_FPS
from s2d_edge.contracts.model_config import PRESETS, S2DConfig, TemporalMode, preset
from s2d_edge.contracts.runs import RunInfo, newest_run, read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.open import absolute_data, open_dataset, require_published
from s2d_edge.train.plan import DEFAULT_MODEL, Plan, TrainOptions, resolve_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a new training begins from.

    Attributes:
        plan: what is to be done.
        dataset: its class indices follow the model's label order.
        config: the video model's sizes; the image stage leaves the adapters out.
        init: a run folder or a plain ViT's weights, or None.
    """

    plan: Plan
    dataset: Dataset
    config: S2DConfig
    init: Path | None


def resolve(options: TrainOptions, runs: Path, console: Console) -> Start:
    """Work out everything a new training needs.

    Args:
        runs: where ``--stage video`` looks for the newest image run when no ``--init`` is given.

    Raises:
        S2DEdgeError: settings, data, weights or sizes that cannot be used.
    """
    init = options.init
    if init is None and options.stage == "video":
        try:
            init = newest_run(runs, "image")
        except CheckpointError:
            raise CheckpointError(
                f"--stage video starts from an image run and there is none under {runs}; train one with "
                "'s2d-edge train --stage image', or name one with --init"
            ) from None
        console.say(f"starting from the newest image run, {init}")
    info = read_run(init) if init is not None and init.is_dir() else None
    model = options.model or (_model_name(info) if info else DEFAULT_MODEL)
    settings = resolve_settings(options, model)
    dataset = open_dataset(options.data, console, missing_ok=options.skip_unreadable)
    if options.protocol == "paper":
        require_published(dataset)
    if info is not None and set(info.labels) == set(dataset.labels):  # the head can go on: keep its order
        dataset = dataset.in_order_of(info.labels)
    config = _as_sized(_video_config(options, info, model), options.image_size)
    config = _as_temporal(config, options.temporal)
    if settings.temporal_contrast and not config.causal:
        raise ConfigError(
            "temporal_contrast=true is for causal adapters, which know how old frames are; "
            "add --temporal causal"
        )
    plan = Plan(
        data=absolute_data(options.data),
        model=model,
        stages=options.stages,
        frames=config.frames,
        temporal="causal" if config.causal else "bidirectional",
        teacher="" if options.teacher is None else str(options.teacher.resolve()),
        fps=options.fps or _usual_fps(dataset, info),
        protocol=as_protocol(options.protocol),
        skip_unreadable=options.skip_unreadable,
        settings=settings,
    )
    return Start(plan=plan, dataset=dataset, config=replace(config, classes=len(dataset.labels)), init=init)


def _model_name(info: RunInfo) -> str:
    return str(info.settings.get("model", info.name))


def _video_config(options: TrainOptions, info: RunInfo | None, model: str) -> S2DConfig:
    """The video model's sizes: a named size, or those of the run to start from."""
    if info is None or options.model is not None:
        config = preset(model)
        return config.as_video(options.frames or config.frames, config.temporal)
    if info.model.temporal is not None:
        if options.frames not in (None, info.model.frames):
            raise ConfigError(
                f"--frames {options.frames} does not fit --init {options.init}, a video model of "
                f"{info.model.frames} frames; start from an image run"
            )
        return info.model
    return video_config(info, model, options.frames or int(info.settings.get("frames", S2DConfig().frames)))


def video_config(info: RunInfo, model: str, frames: int, temporal: TemporalMode | None = None) -> S2DConfig:
    """The video model that grows out of an image run, with the adapters of the named size if there is one."""
    config = info.model.as_video(frames, PRESETS[model].temporal if model in PRESETS else None)
    return _as_temporal(config, temporal)


def _as_sized(config: S2DConfig, image_size: int | None) -> S2DConfig:
    """The same model on pictures of that side, in the same patches; None leaves them as they are."""
    if image_size is None:
        return config
    return replace(config, vit=replace(config.vit, image_size=image_size))


def _as_temporal(config: S2DConfig, mode: str | None) -> S2DConfig:
    """The same video model with adapters that look that way; None leaves them as they are."""
    if mode is None or config.temporal is None:
        return config
    return replace(config, temporal=replace(config.temporal, mode=cast(TemporalMode, mode)))


def _usual_fps(dataset: Dataset, info: RunInfo | None) -> float:
    """That of a published dataset, of a video run to start from, of frames drawn here, or of an image run."""
    known, drawn = dataset.published, dataset.drawn_fps()
    if known is not None and not known.stills:
        return known.fps
    if info is not None and (info.stage == "video" or drawn is None):
        return info.fps
    return drawn or DEFAULT_FPS
