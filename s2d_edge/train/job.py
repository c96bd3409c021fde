"""What a stage's training is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s2d_edge.contracts.runs import RunInfo
from s2d_edge.model.s2d import S2D
from s2d_edge.train.feed import Feed
from s2d_edge.train.processes import Processes
from s2d_edge.train.settings import StageSettings
from s2d_edge.train.teacher import Teacher


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One stage to train.

    Attributes:
        model: on the device of ``processes``, with ``requires_grad`` set on what trains.
        info: describes the run; its hash of the weights is filled in at every new best epoch.
        settings: of this stage.
        teacher: a model whose logits are followed too.
        seed: of everything random.
        train: training clips.
        val: validation clips, which choose the best epoch.
        folder: the run folder.
        processes: those that train together.
        amp: mixed precision, if the device computes in it.
        snapshot_minutes: how often the training is saved beside the end of each epoch; 0 never.
        score_start: validate before the first step, too, as epoch 0.
    """

    model: S2D
    info: RunInfo
    settings: StageSettings
    teacher: Teacher | None
    seed: int
    train: Feed
    val: Feed
    folder: Path
    processes: Processes
    amp: bool
    snapshot_minutes: float = 0.0
    score_start: bool = False
