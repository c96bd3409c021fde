"""Compare FP32 and INT8 on the same clips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s2d_edge.contracts.evaluation import Predictions
from s2d_edge.core import metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """FP32 minus INT8 on the same clips; positive is worse.

    Attributes:
        war_pp, uar_pp, macro_f1_pp: percentage points.
        war_pp_ci95, uar_pp_ci95: paired bootstrap, percentage points.
        agreement: share of clips with equal predictions.
        lost: clips that only FP32 predicts rightly.
        won: clips that only INT8 predicts rightly.
        mcnemar_p: exact p that the two err equally often.
        max_abs_probability_diff: the largest change of any probability on any clip.
        rms_logit_diff: root mean square of the difference of the logits, over clips and classes. It separates
            recipes that a few hundred predictions cannot.
    """

    war_pp: float
    war_pp_ci95: metrics.Interval
    uar_pp: float
    uar_pp_ci95: metrics.Interval
    macro_f1_pp: float
    agreement: float
    lost: int
    won: int
    mcnemar_p: float
    max_abs_probability_diff: float
    rms_logit_diff: float


def drops_pp(
    truth: metrics.Labels, before: metrics.Labels, after: metrics.Labels, classes: int
) -> tuple[float, float]:
    """Return the drop of WAR and of UAR from predictions ``before`` to ``after``, percentage points.

    Args:
        truth, before, after: (n,) class indices.
        classes: number of classes.
    """
    one, other = (metrics.confusion(truth, predicted, classes) for predicted in (before, after))
    return 100 * (metrics.war(one) - metrics.war(other)), 100 * (metrics.uar(one) - metrics.uar(other))


def drop_between(
    fp32: Predictions, int8: Predictions, truth: metrics.Labels, classes: int, seed: int
) -> Drop:
    """Compare the two graphs' predictions on the same clips.

    Args:
        truth: (n,) class indices.
        seed: of the bootstrap.
    """
    before, after = fp32.predicted, int8.predicted
    counts = [metrics.confusion(truth, predicted, classes) for predicted in (before, after)]
    low, high = metrics.war_drop_interval(truth, before, after, classes, seed=seed)
    uar_low, uar_high = metrics.uar_drop_interval(truth, before, after, classes, seed=seed)
    return Drop(
        war_pp=100 * (metrics.war(counts[0]) - metrics.war(counts[1])),
        war_pp_ci95=(100 * low, 100 * high),
        uar_pp=100 * (metrics.uar(counts[0]) - metrics.uar(counts[1])),
        uar_pp_ci95=(100 * uar_low, 100 * uar_high),
        macro_f1_pp=100 * (metrics.macro_f1(counts[0]) - metrics.macro_f1(counts[1])),
        agreement=metrics.agreement(before, after),
        lost=int(np.sum((before == truth) & (after != truth))),
        won=int(np.sum((before != truth) & (after == truth))),
        mcnemar_p=metrics.mcnemar_p(truth, before, after),
        max_abs_probability_diff=float(np.abs(fp32.probabilities - int8.probabilities).max()),
        rms_logit_diff=float(np.sqrt(np.mean((fp32.logits - int8.logits) ** 2))),
    )
