"""The inputs of one stage's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import nn

from s2d_edge.contracts.runs import RunInfo
from s2d_edge.model.s2d import S2D
from s2d_edge.train.context import Context
from s2d_edge.train.loop.teacher import Lessons
from s2d_edge.train.plan.settings import StageSettings
from s2d_edge.train.supply.feed import Feed
from s2d_edge.train.supply.sets import JoinedSets


class LoopSettings(Protocol):
    """The settings that every stage has; :class:`StageSettings` describes them."""

    @property
    def epochs(self) -> int: ...
    @property
    def epoch_clips(self) -> int: ...
    @property
    def batch_clips(self) -> int: ...
    @property
    def accumulate(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def warmup_epochs(self) -> float: ...
    @property
    def final_lr_fraction(self) -> float: ...
    @property
    def ema(self) -> float: ...
    @property
    def clip_norm(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoopJob:
    """One stage to train, whatever it learns.

    Attributes:
        model: on the device of ``context``, with ``requires_grad`` set on what trains.
        info: the run's record; its weights' hash is filled in at every new best epoch.
        settings: of this stage.
        seed: of everything random.
        sets: those that the clips are from.
        train: training clips.
        val: validation clips, which choose the best epoch.
        folder: the run folder.
        context: processes, console, and the request to stop.
        amp: mixed precision, if the device supports it.
        snapshot_minutes: time between snapshots within an epoch; 0 takes none there.
        score_start: validate before the first step as well, as epoch 0.
    """

    model: nn.Module
    info: RunInfo
    settings: LoopSettings
    seed: int
    sets: JoinedSets
    train: Feed
    val: Feed
    folder: Path
    context: Context
    amp: bool
    snapshot_minutes: float = 0.0
    score_start: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job(LoopJob):
    """An image or video stage to train.

    Attributes:
        lessons: of the teachers, if there are any.
    """

    model: S2D
    settings: StageSettings
    lessons: Lessons | None
