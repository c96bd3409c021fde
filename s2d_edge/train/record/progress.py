"""Snapshots of a training on disk, to resume it."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from s2d_edge.contracts.runs import WEIGHTS
from s2d_edge.core.errors import CheckpointError
from s2d_edge.core.files import whole_file, write_text
from s2d_edge.model.foreign import why_not_loaded

RESUME = "resume.pt"
LAST_WEIGHTS = "last.safetensors"
METRICS = "metrics.jsonl"


@dataclass(kw_only=True)
class Progress:
    """Position of a training, and its results so far.

    Attributes:
        epoch: the epoch under way, from 0; the number of epochs when all are done.
        step: steps done in it.
        loss_sum: sum over its clips of their loss.
        clips_seen: clips in that sum.
        seconds: wall time spent in it.
        best: the selection key of the best epoch, empty before the first.
        confusion: (K, K) confusion matrix of the best epoch, rows truth; empty before the first.
        history: one record per finished epoch, as in ``metrics.jsonl``.
        start_unscored: the weights it starts from are still to be validated, as epoch 0.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    clips_seen: int = 0
    seconds: float = 0.0
    best: list[float] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    start_unscored: bool = False

    def next_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.clips_seen, self.seconds = 0.0, 0, 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """All state that resumes a training exactly.

    Random numbers need none: each step has its own seed.

    Attributes:
        progress: the position.
        model: every weight and buffer.
        optimizer: AdamW's state.
        scaler: the loss scaler's state; empty unless training in float16.
        anchors: those of the self-distillation; empty without it.
        average: the moving average of the weights; empty without it.
    """

    progress: Progress
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    anchors: dict[str, Tensor]
    average: dict[str, Tensor]


def how_to_resume(folder: Path) -> str:
    """The end of a sentence on a training that stopped: the command that continues the run in ``folder``."""
    return f"continue with: s2d-edge train --resume {shlex.quote(str(folder))}"


def save_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Write ``resume.pt`` and ``metrics.jsonl``, each whole or not at all.

    Raises:
        OSError: the disk refuses, for instance because it is full.
    """
    content = {
        "progress": asdict(snapshot.progress),
        "model": snapshot.model,
        "optimizer": snapshot.optimizer,
        "scaler": snapshot.scaler,
        "anchors": snapshot.anchors,
        "average": snapshot.average,
    }
    with whole_file(folder / RESUME) as scratch, scratch.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # PyTorch's own, from that of the write
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
    write_text(folder / METRICS, "".join(_json_line(record) for record in snapshot.progress.history))


def _json_line(record: dict[str, Any]) -> str:
    """A record as a line of JSON; a figure that is not finite, as older versions kept some, becomes null."""
    figures = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }
    return json.dumps(figures, allow_nan=False) + "\n"


def load_snapshot(folder: Path) -> Snapshot:
    """Read ``resume.pt``.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    path = folder / RESUME
    if not path.is_file():
        begin = f", with --init {folder} to begin from its weights" if (folder / WEIGHTS).is_file() else ""
        raise CheckpointError(
            f"{folder} holds no {RESUME}, so its training cannot be resumed; start a new one{begin}"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Snapshot(
            progress=Progress(**content["progress"]),
            model=content["model"],
            optimizer=content["optimizer"],
            scaler=content["scaler"],
            anchors=content.get("anchors", {}),
            average=content.get("average", {}),
        )
    except Exception as error:  # PyTorch's reader and unpickler raise almost anything on damaged bytes
        raise CheckpointError(
            f"{path} is damaged ({why_not_loaded(error)}); start a new training, with --init {folder} to "
            "begin from the run's weights"
        ) from None
