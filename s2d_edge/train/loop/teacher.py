"""Distillation: a loss against the logits of a trained video model, beside the labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.runs import read_run
from s2d_edge.core.errors import ConfigError
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.s2d import S2D
from s2d_edge.train.supply.feed import Batch


class Teacher:
    """A frozen video model, usually the bidirectional one that a causal student comes from."""

    def __init__(self, path: Path, student: S2D, labels: Sequence[str], device: torch.device) -> None:
        """Load the run folder ``path``, already checked by :func:`require_fitting`.

        Args:
            student: the model to train; cached landmark maps serve both if their landmark networks are equal.
            labels: of the student, in the order of its logits.

        Raises:
            CheckpointError: no usable run at ``path``.
        """
        model, given = load_run(path)
        self._model = model.eval().requires_grad_(False).to(device)
        self._order = [given.labels.index(label) for label in labels]
        mine, students = model.landmark.state_dict(), student.landmark.state_dict()
        self._shares_maps = mine.keys() == students.keys() and all(
            torch.equal(value, students[name].to(value)) for name, value in mine.items()
        )

    def losses(self, logits: Tensor, batch: Batch, temperature: float) -> Tensor:
        """τ² · KL(teacher ‖ student) of softened probabilities (arXiv 1503.02531).

        Args:
            logits: the student's on ``batch``, (B, K).
            temperature: τ.

        Returns:
            (B,).
        """
        with torch.no_grad():
            maps = batch.maps if self._shares_maps else None
            target = self._model(batch.clip, maps, batch.numbers)[:, self._order]
        divergence = F.kl_div(
            F.log_softmax(logits.float() / temperature, dim=1),
            F.log_softmax(target.float() / temperature, dim=1),
            reduction="none",
            log_target=True,
        )
        return temperature**2 * divergence.sum(dim=1)


def require_fitting(path: Path, spec: ClipSpec, labels: Sequence[str]) -> None:
    """Check from its record alone that the run ``path`` can teach a video model of these clips and labels.

    Raises:
        CheckpointError: no usable run at ``path``.
        ConfigError: it has other labels, or clips of another length, rate or size.
    """
    given = read_run(path)
    if given.stage != "video" or given.spec != spec:
        raise ConfigError(
            f"--teacher {path} takes {given.stage} clips of {_text(given.spec)}; the student is trained on "
            f"video clips of {_text(spec)}: give a video run of these"
        )
    if set(given.labels) != set(labels):
        raise ConfigError(
            f"--teacher {path} has the labels {', '.join(given.labels)}; the student's are "
            f"{', '.join(labels)}: give a run with the student's labels"
        )


def _text(spec: ClipSpec) -> str:
    return f"{spec.frames} frames at {spec.fps:g} per second, {spec.size} pixels"
