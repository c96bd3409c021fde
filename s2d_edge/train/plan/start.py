"""The start of a training: the weights it begins with, its dataset, the model's sizes, its run folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from s2d_edge.contracts.clip import HIGHEST_FPS, LARGEST_PICTURE, SMALLEST_PICTURE
from s2d_edge.contracts.labels import DEFAULT_FPS
from s2d_edge.contracts.model_config import PRESETS, S2DConfig, TemporalMode, preset
from s2d_edge.contracts.runs import RUNS, RunInfo, newest_run, read_run
from s2d_edge.core.claims import choose_outputs, claim_outputs
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.train.plan.plan import DEFAULT_MODEL, PRETRAIN_STAGE, STAGES, AnyStage, Plan

_MOST_FRAMES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """All that a new training begins with.

    Attributes:
        plan: data, sizes and settings, as recorded.
        dataset: class indices follow the model's label order.
        config: the video model's sizes; the image stage leaves out the adapters.
        init: the first stage's weights.
    """

    plan: Plan
    dataset: Dataset
    config: S2DConfig
    init: Init


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """Weights that the first stage begins with.

    Attributes:
        path: a run folder or a plain ViT's weights; None for random weights.
        run: the run's record where ``path`` is a run folder.
    """

    path: Path | None = None
    run: RunInfo | None = None

    @property
    def brings_landmark(self) -> bool:
        """True for the run of a whole model, which has a landmark network."""
        return self.run is not None and self.run.stage != PRETRAIN_STAGE

    @property
    def model_name(self) -> str:
        """Name of the model's size: the run's, else the default one."""
        return DEFAULT_MODEL if self.run is None else str(self.run.settings.get("model", self.run.name))

    def ordered(self, dataset: Dataset) -> Dataset:
        """``dataset`` in the run's label order where both have one set of labels: the head stays usable."""
        if self.run is None or set(self.run.labels) != set(dataset.labels):
            return dataset
        return dataset.in_order_of(self.run.labels)


def find_init(path: Path | None, stages: Sequence[AnyStage], console: Console) -> Init:
    """Find the weights to begin with.

    Args:
        path: a run folder or a plain ViT's weights; None takes the newest image run under ``runs`` for the
            video stage alone, else random weights.

    Raises:
        CheckpointError: no image run to begin with, or an unusable run folder.
    """
    if path is None and stages == ("video",):
        try:
            path = newest_run(RUNS, "image", console)
        except CheckpointError as error:
            raise CheckpointError(
                f"--stage video starts from an image run: {error}; train one with "
                "'s2d-edge train --stage image', or name one with --init"
            ) from None
        console.say(f"starting from the newest image run, {path}")
    run = read_run(path, encoder_ok=True) if path is not None and path.is_dir() else None
    if run is not None and run.stage == PRETRAIN_STAGE and tuple(stages) == ("video",):
        raise CheckpointError(
            f"--init {path} is the run of a pre-training, and the video stage freezes the ViT; train the "
            "image stage from it first, or leave out --stage for both"
        )
    return Init(path=path, run=run)


def require_sizes(*, frames: int | None, fps: float | None, image_size: int | None) -> None:
    """Check the options that say what a clip is, where they are given.

    Raises:
        ConfigError: a value out of range.
    """
    if frames is not None and not 1 <= frames <= _MOST_FRAMES:
        raise ConfigError(f"--frames {frames} must be a whole number from 1 to {_MOST_FRAMES:,}")
    if fps is not None and not 0 < fps <= HIGHEST_FPS:
        raise ConfigError(f"--fps {fps} must be above 0 and at most {HIGHEST_FPS}")
    if image_size is not None and not SMALLEST_PICTURE <= image_size <= LARGEST_PICTURE:
        raise ConfigError(
            f"--image-size {image_size} must be a whole number from {SMALLEST_PICTURE} to {LARGEST_PICTURE}"
        )


def video_sizes(
    init: Init,
    model: str | None,
    *,
    frames: int | None = None,
    image_size: int | None = None,
    temporal: str | None = None,
) -> S2DConfig:
    """Sizes of the video model: those of a preset, or those of the run to begin with.

    Args:
        model: name of a preset; None keeps the run's sizes.
        frames: T; None is the run's or the preset's.
        image_size: side of the picture in pixels, in the same patches; None is the run's or the preset's.
        temporal: mode of the adapters; None is the run's, else bidirectional.

    Raises:
        ConfigError: an unknown preset or mode, or sizes that do not fit one another.
    """
    if temporal not in (None, *get_args(TemporalMode)):
        raise ConfigError(f"--temporal {temporal!r} must be one of {', '.join(get_args(TemporalMode))}")
    run = init.run
    if run is None or model is not None:
        sizes = preset(model or init.model_name)
        sizes = sizes.as_video(sizes.frames if frames is None else frames, sizes.temporal)
    elif run.model.temporal is None:
        length = int(run.settings.get("frames", S2DConfig().frames)) if frames is None else frames
        sizes = video_sizes_after(run, init.model_name, length)
    elif frames in (None, run.model.frames):
        sizes = run.model
    else:
        raise ConfigError(
            f"--frames {frames} does not fit --init {init.path}, a video model of {run.model.frames} frames; "
            "start from an image run"
        )
    if image_size is not None:
        sizes = replace(sizes, vit=replace(sizes.vit, image_size=image_size))
    return sizes if temporal is None else _with_mode(sizes, cast(TemporalMode, temporal))


def video_sizes_after(
    image: RunInfo, model: str, frames: int, temporal: TemporalMode | None = None
) -> S2DConfig:
    """Sizes of the video model that continues an image run.

    Args:
        model: name of the size; where it is a preset, the adapters are the preset's.
        frames: T.
        temporal: mode of the adapters; None keeps theirs.
    """
    sizes = image.model.as_video(frames, PRESETS[model].temporal if model in PRESETS else None)
    return sizes if temporal is None else _with_mode(sizes, temporal)


def _with_mode(sizes: S2DConfig, mode: TemporalMode) -> S2DConfig:
    if sizes.temporal is None:
        return sizes
    return replace(sizes, temporal=replace(sizes.temporal, mode=mode))


def usual_fps(dataset: Dataset, run: RunInfo | None) -> float:
    """Sampling rate of a training that names none, frames per second.

    A published dataset of clips has its own; then comes a video run's, a drawn set's, an image run's. Of
    several sets the first that has one decides.
    """
    published = [source.published for source in dataset.sources if source.published is not None]
    drawn = next(filter(None, (source.drawn_fps() for source in dataset.sources)), None)
    for known in published:
        if not known.stills:
            return known.fps
    if run is not None and (run.stage == "video" or drawn is None):
        return run.fps
    return drawn or DEFAULT_FPS


def choose_folders(out: Path | None, name: str, stages: Sequence[AnyStage]) -> list[Path]:
    """Claim one run folder per stage: ``out`` or ``runs/name``, with the stage appended where that is needed.

    Raises:
        ConfigError: ``out`` has no name of its own.
        S2DEdgeError: ``out`` exists already, or another command has claimed it.
    """
    if out is None:
        return choose_outputs(RUNS / name, [f"-{stage}" for stage in stages])
    if out.name in ("", ".."):
        raise ConfigError(f"--out {str(out)!r} names no new folder; give one, such as runs/{name}")
    folders = [out] if len(stages) == 1 else [_with_stage(out, stage) for stage in stages]
    claim_outputs(folders)
    return folders


def sibling_folder(folder: Path, stage: AnyStage) -> Path:
    """The run folder of another stage of the command that wrote ``folder``."""
    name = folder.name
    for known in STAGES:
        name = name.removesuffix(f"-{known}")
    return folder.with_name(f"{name}-{stage}")


def _with_stage(base: Path, stage: AnyStage) -> Path:
    return base.with_name(f"{base.name}-{stage}")
