"""Distillation: a trained video model whose logits a student follows beside the labels."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from s2d_edge.errors import ConfigError
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.s2d import S2D
from s2d_edge.runs import RunInfo
from s2d_edge.train.feed import Batch


class Teacher:
    """A frozen video model, usually the bidirectional one that a causal student comes from."""

    def __init__(self, path: Path, student: S2D, info: RunInfo, device: torch.device) -> None:
        """Load the run folder ``path``.

        Args:
            student: what is to be trained; decides whether kept landmark maps are the teacher's too.
            info: of the student; its labels give the order of the logits.

        Raises:
            CheckpointError: no usable run at ``path``.
            ConfigError: it answers other labels, or clips of another length or size.
        """
        model, given = load_run(path)
        if given.stage != "video" or given.spec != info.spec:
            raise ConfigError(
                f"--teacher {path} answers {_clip_of(given)}; the student is trained on {_clip_of(info)}"
            )
        if set(given.labels) != set(info.labels):
            raise ConfigError(
                f"--teacher {path} knows {', '.join(given.labels)}; the student learns "
                f"{', '.join(info.labels)}"
            )
        self._model = model.eval().requires_grad_(False).to(device)
        self._order = [given.labels.index(label) for label in info.labels]
        theirs, ours = model.landmark.state_dict(), student.landmark.state_dict()
        self._shares_maps = theirs.keys() == ours.keys() and all(
            torch.equal(value, ours[name].to(value)) for name, value in theirs.items()
        )

    def loss(self, logits: Tensor, batch: Batch, temperature: float) -> Tensor:
        """τ² · KL(teacher ‖ student) of softened probabilities, mean over the batch (arXiv 1503.02531).

        Args:
            logits: the student's on ``batch``, (B, K).
            temperature: τ.
        """
        with torch.no_grad():
            wanted = self._model(batch.clip, batch.maps if self._shares_maps else None)[:, self._order]
        divergence = F.kl_div(
            F.log_softmax(logits.float() / temperature, dim=1),
            F.log_softmax(wanted.float() / temperature, dim=1),
            reduction="batchmean",
            log_target=True,
        )
        return temperature**2 * divergence


def _clip_of(info: RunInfo) -> str:
    spec = info.spec
    return f"{info.stage} clips of {spec.frames} frames at {spec.fps:g} per second, {spec.size} pixels"
