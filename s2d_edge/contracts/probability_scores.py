"""Scores of an engine's probabilities, as the JSON that ``evaluate`` and reports write."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core import metrics, reliability


def score_probabilities(
    truth: metrics.Labels,
    probabilities: NDArray[np.float32],
    votes: NDArray[np.float32] | None = None,
) -> dict[str, Any]:
    """Score probabilities against labels, and against people's votes where there are some.

    Args:
        truth: (n,) class indices.
        probabilities: (n, K).
        votes: (n, K), the share of the votes that each class got; rows of zeros for clips without votes.

    Returns:
        ``ece`` and ``reliability``, the bins behind it; see :mod:`s2d_edge.core.reliability`. With votes also
        ``votes``: ``clips`` that have some, ``cross_entropy_nats`` of the probabilities to them,
        ``entropy_nats`` of the votes, which is the least that can be, and ``jensen_shannon_bits``.
    """
    bins = reliability.reliability(probabilities, truth)
    result: dict[str, Any] = {
        "ece": reliability.calibration_error(bins),
        "reliability": [asdict(each) for each in bins],
    }
    if votes is None or not votes.any():
        return result
    has_votes = votes.any(axis=1)
    shares, predicted = votes[has_votes], probabilities[has_votes]
    result["votes"] = {
        "clips": len(shares),
        "cross_entropy_nats": reliability.cross_entropy(shares, predicted),
        "entropy_nats": reliability.cross_entropy(shares, shares),
        "jensen_shannon_bits": reliability.jensen_shannon(shares, predicted),
    }
    return result
