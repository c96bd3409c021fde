"""Single clips and classes: what INT8 changed on each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2d_edge.calibrate.report.records import ChangedClip, ClassDrop, Outcomes
from s2d_edge.contracts.evaluation import Predictions
from s2d_edge.core import metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPredictions:
    """Predictions of both graphs on every clip.

    Attributes:
        paths: n clips, relative to the dataset where they lie below it.
        truth: (n,) class indices.
        fp32, int8: predictions on the n clips.
    """

    paths: tuple[str, ...]
    truth: metrics.Labels
    fp32: Predictions
    int8: Predictions

    @property
    def distances(self) -> NDArray[np.float64]:
        """(n,) total variation between the two sets of probabilities, 0 to 1."""
        apart = np.abs(self.fp32.probabilities.astype(np.float64) - self.int8.probabilities)
        return np.asarray(apart.sum(axis=1) / 2)

    @property
    def sha256(self) -> str:
        """Hash of the clips' names and labels: reports that share it were measured on the same list."""
        lines = "\n".join(f"{path}\t{label}" for path, label in zip(self.paths, self.truth, strict=True))
        return hashlib.sha256(lines.encode()).hexdigest()


def count_outcomes(clips: ClipPredictions) -> Outcomes:
    """Count the clips that both graphs, one of them or none predicted rightly."""
    before, after = clips.fp32.predicted, clips.int8.predicted
    right, still = before == clips.truth, after == clips.truth
    wrong, agree = ~right & ~still, before == after
    return Outcomes(
        both_right=int(np.sum(right & still)),
        only_fp32_right=int(np.sum(right & ~still)),
        only_int8_right=int(np.sum(~right & still)),
        both_wrong_alike=int(np.sum(wrong & agree)),
        both_wrong_differently=int(np.sum(wrong & ~agree)),
    )


def worst_class(clips: ClipPredictions, labels: Sequence[str]) -> ClassDrop | None:
    """Find the class whose recall falls most, of several the one with more clips; None where none falls."""
    drops = []
    for index, label in enumerate(labels):
        of_class = clips.truth == index
        right, still = clips.fp32.predicted[of_class] == index, clips.int8.predicted[of_class] == index
        lost, won = int(np.sum(right & ~still)), int(np.sum(~right & still))
        if lost > won:
            support = int(of_class.sum())
            drop_pp = 100 * (lost - won) / support
            drops.append(ClassDrop(label=label, support=support, drop_pp=drop_pp, lost=lost, won=won))
    return max(drops, key=lambda one: (one.drop_pp, one.support), default=None)


def most_changed(clips: ClipPredictions, labels: Sequence[str], count: int = 10) -> tuple[ChangedClip, ...]:
    """Find the clips whose probabilities moved most; clips that did not move are left out."""
    distances = clips.distances
    return tuple(
        ChangedClip(
            path=clips.paths[index],
            label=labels[clips.truth[index]],
            fp32=labels[clips.fp32.predicted[index]],
            int8=labels[clips.int8.predicted[index]],
            distance=float(distances[index]),
            fp32_probabilities=tuple(clips.fp32.probabilities[index].tolist()),
            int8_probabilities=tuple(clips.int8.probabilities[index].tolist()),
        )
        for index in np.argsort(-distances.round(6), kind="stable")[:count]  # ties in the split's order
        if distances[index] > 0
    )
