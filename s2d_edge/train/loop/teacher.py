"""Distillation: a loss against the logits of trained models, beside the labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.runs import RunInfo, read_run
from s2d_edge.core.errors import ConfigError
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.s2d import S2D
from s2d_edge.train.plan.plan import Stage
from s2d_edge.train.supply.feed import Batch, Feed


class Teacher:
    """A frozen model: larger than the student, or bidirectional where the student is causal.

    Attributes:
        path: its run folder.
        info: its record.
    """

    def __init__(self, path: Path, student: S2D, labels: Sequence[str], device: torch.device) -> None:
        """Load the run folder ``path``, already checked by :func:`require_fitting`.

        Args:
            student: the model to train; cached landmark maps serve both if their landmark networks are equal.
            labels: of the student, in the order of its logits.

        Raises:
            CheckpointError: no usable run at ``path``.
        """
        model, self.info = load_run(path)
        self.path = path
        self._model = model.eval().requires_grad_(False).to(device)
        self._device = device
        self._order = [self.info.labels.index(label) for label in labels]
        mine, students = model.landmark.state_dict(), student.landmark.state_dict()
        self._shares_maps = (
            model.config.vit.grid == student.config.vit.grid
            and mine.keys() == students.keys()
            and all(torch.equal(value, students[name].to(value)) for name, value in mine.items())
        )

    def logits(self, clip: Tensor, maps: Tensor | None, numbers: Tensor | None) -> Tensor:
        """Its own (B, K) logits, float32; inputs as in :class:`Batch`.

        Args:
            maps: the student's landmark maps; used only where the two landmark networks are equal.
        """
        clip = clip.to(self._device)
        numbers = None if numbers is None else numbers.to(self._device)
        with torch.no_grad():
            logits: Tensor = self._model(clip, maps if self._shares_maps else None, numbers)
        return logits.float()

    def in_students_order(self, logits: Tensor) -> Tensor:
        """Select the student's labels of (…, K) logits; no others are part of the softmax."""
        return logits[..., self._order]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """The teachers' part of a student's loss.

    Attributes:
        teachers: those that see every batch, each with the feed of its own pictures; None where they see the
            student's. Empty where the batches bring the teachers' logits.
    """

    teachers: Sequence[tuple[Teacher, Feed | None]] = ()

    def losses(
        self, logits: Tensor, batch: Batch, same_view: Callable[[Feed], Batch], temperature: float
    ) -> Tensor:
        """τ² · KL(teachers ‖ student) of softened probabilities (arXiv 1503.02531, section 2).

        The teachers' probabilities are the mean of their softened softmax.

        Args:
            logits: the student's on ``batch``, (B, K).
            same_view: draws ``batch`` from another feed.
            temperature: τ.

        Returns:
            (B,).
        """
        log_target = self._log_target(batch, same_view, temperature)
        divergence = F.kl_div(
            F.log_softmax(logits.float() / temperature, dim=1), log_target, reduction="none", log_target=True
        )
        return temperature**2 * divergence.sum(dim=1)

    def _log_target(self, batch: Batch, same_view: Callable[[Feed], Batch], temperature: float) -> Tensor:
        """(B, K) logarithms of the probabilities to follow."""
        if self.teachers:
            predicted = []
            for teacher, own in self.teachers:
                seen = batch if own is None else same_view(own)
                each = teacher.logits(seen.clip, None if own is not None else seen.maps, seen.numbers)
                predicted.append(teacher.in_students_order(each))
            return _log_mean(torch.stack(predicted, dim=1), temperature)
        assert batch.taught is not None  # without a teacher there are no lessons
        own_target = _log_mean(batch.taught, temperature)
        if batch.blend is None:
            return own_target
        assert batch.blend.taught is not None
        # A mixed clip follows both, by their shares, as it does their labels.
        share = batch.blend.share.to(own_target).unsqueeze(1)  # (B, 1)
        other_target = _log_mean(batch.blend.taught, temperature)
        return torch.logaddexp(own_target + share.log(), other_target + (1 - share).log())


def _log_mean(logits: Tensor, temperature: float) -> Tensor:
    """(B, M, K) logits -> (B, K) logarithm of the mean of the M softened probabilities."""
    each = F.log_softmax(logits.float() / temperature, dim=2)
    log_count = torch.tensor(float(each.shape[1]), device=each.device).log()
    mean: Tensor = each.logsumexp(dim=1) - log_count
    return mean


def teachers_of(paths: Sequence[str], stage: Stage) -> list[Path]:
    """Return the run folders that teach a stage: image runs the image stage, video runs the video stage."""
    return [Path(path) for path in paths if read_run(Path(path)).stage == stage]


def require_fitting(
    paths: Sequence[str], stages: Sequence[str], spec: ClipSpec, labels: Sequence[str]
) -> None:
    """Check from their records alone that runs can teach a model of these clips and labels.

    Args:
        stages: to be trained.
        spec: of the video stage's clips; a teacher may see them at another size.

    Raises:
        CheckpointError: no usable run at one of the paths.
        ConfigError: one teaches none of the stages, lacks a label, or has clips of another length or rate.
    """
    for path in paths:
        _require_one(Path(path), read_run(Path(path)), stages, spec, labels)


def _require_one(
    path: Path, given: RunInfo, stages: Sequence[str], spec: ClipSpec, labels: Sequence[str]
) -> None:
    if given.stage not in stages:
        raise ConfigError(
            f"--teacher {path} is {_article(given.stage)} run, which teaches the {given.stage} stage; this "
            f"training has the {stages[0]} stage alone: give {_article(stages[0])} run"
        )
    apart = (given.spec.frames, given.spec.fps) != (spec.frames, spec.fps)
    if given.stage == "video" and apart:
        raise ConfigError(
            f"--teacher {path} takes clips of {_text(given.spec)}; the student is trained on clips of "
            f"{_text(spec)}: give a video run of these"
        )
    if missing := [label for label in labels if label not in given.labels]:
        raise ConfigError(
            f"--teacher {path} has the labels {', '.join(given.labels)} and not {missing[0]!r}; the "
            f"student's are {', '.join(labels)}: give a run that knows them all"
        )


def _article(stage: str) -> str:
    return f"an {stage}" if stage == "image" else f"a {stage}"


def _text(spec: ClipSpec) -> str:
    return f"{spec.frames} frames at {spec.fps:g} per second"
