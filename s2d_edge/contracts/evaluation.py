"""Predict labelled clips with an engine, and score the predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.engine import Engine, softmax
from s2d_edge.core import metrics
from s2d_edge.core.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """An engine's predictions for n clips of K classes.

    Attributes:
        logits: (n, K) float32, the mean over a clip's windows.
        probabilities: (n, K) float32, the mean over a clip's windows of their softmax, as the paper tests.
    """

    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]

    @property
    def predicted(self) -> metrics.Labels:
        """Index of the most probable class of each clip, (n,) int64."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)


class Windows(Protocol):
    """The windows of one clip.

    Attributes:
        windows: (V, T, S, S, 3) uint8 RGB.
        window_numbers: (V, T) float64, where each frame lies on the model's grid, periods of its rate; None
            where frames are a period apart, or have no clock and count as that.
    """

    @property
    def windows(self) -> NDArray[np.uint8]: ...
    @property
    def window_numbers(self) -> NDArray[np.float64] | None: ...


def predict_windows(engine: Engine, clip: Windows) -> NDArray[np.float32]:
    """Compute the logits of each window of one clip.

    Returns:
        (V, K) float32.
    """
    numbers = clip.window_numbers
    return np.concatenate(
        [
            engine.infer(window[None], None if numbers is None else numbers[row])
            for row, window in enumerate(clip.windows)
        ]
    )


def gather(window_logits: Iterable[NDArray[np.float32]]) -> Predictions:
    """Average the logits and probabilities of each clip's windows.

    Args:
        window_logits: per clip (V, K) float32; V may differ from clip to clip.

    Raises:
        DataError: no clip at all.
    """
    clips = list(window_logits)
    if not clips:
        raise DataError("there is no clip to predict; give at least one")
    return Predictions(
        logits=np.stack([logits.mean(axis=0) for logits in clips]),
        probabilities=np.stack([softmax(logits).mean(axis=0) for logits in clips]),
    )


def predict_clips(engine: Engine, clips: Iterable[Windows]) -> Predictions:
    """Predict clips one after the other.

    Raises:
        DataError: no clip at all.
        DeviceError: what the engine raises.
    """
    return gather(predict_windows(engine, clip) for clip in clips)


def restricted(probabilities: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Probabilities among the labels that each clip's set knows.

    Args:
        probabilities: (n, K).
        known: (n, K), at least one in each row.

    Returns:
        (n, K), 0 for the other labels.
    """
    among = np.where(known, probabilities, 0.0).astype(np.float64)
    total = among.sum(axis=1, keepdims=True)
    even = known / known.sum(axis=1, keepdims=True)  # where all of it lies elsewhere
    return np.divide(among, total, out=even, where=total > 0)


def score(
    truth: metrics.Labels, predicted: metrics.Labels, labels: Sequence[str], *, seed: int = 0
) -> dict[str, Any]:
    """Score predictions, as the JSON that ``evaluate`` writes; all rates are fractions.

    Args:
        truth: (n,) class indices.
        predicted: (n,) class indices.
        labels: class names in index order.
        seed: seed of the bootstrap behind the 95 % intervals.

    Returns:
        ``n``, ``war``, ``uar``, ``macro_f1``, ``war_ci95``, ``uar_ci95``, ``ci95_method`` (as
        :func:`s2d_edge.core.metrics.interval_method` names it), ``per_class`` (label to ``recall`` and
        ``recall_ci95``, None without support, and ``support``) and ``confusion`` (rows truth, columns
        prediction).
    """
    classes = len(labels)
    counts = metrics.confusion(truth, predicted, classes)
    return {
        "n": int(counts.sum()),
        "war": metrics.war(counts),
        "uar": metrics.uar(counts),
        "macro_f1": metrics.macro_f1(counts),
        "war_ci95": list(metrics.war_interval(truth, predicted, classes, seed=seed)),
        "uar_ci95": list(metrics.uar_interval(truth, predicted, classes, seed=seed)),
        "ci95_method": metrics.interval_method(truth, truth == predicted, classes),
        "per_class": {label: _class_score(counts[k], k) for k, label in enumerate(labels)},
        "confusion": counts.tolist(),
    }


def _class_score(row: metrics.Labels, label: int) -> dict[str, Any]:
    """Recall of the class whose row of the confusion matrix is ``row`` (K,)."""
    support, hits = int(row.sum()), int(row[label])
    return {
        "recall": hits / support if support else None,
        "recall_ci95": list(metrics.wilson_interval(hits, support)) if support else None,
        "support": support,
    }
