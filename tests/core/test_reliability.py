"""Calibration error and distances from votes, against hand-made and independent figures."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from s2d_edge.core.errors import DataError
from s2d_edge.core.reliability import (
    BINS,
    Bin,
    calibration_error,
    cross_entropy,
    jensen_shannon,
    reliability,
)


def test_calibration_error_by_hand() -> None:
    """Guo's: three clips at .8 of which one is right, one at 1 that is right."""
    probabilities = np.array([[0.8, 0.2], [0.2, 0.8], [0.8, 0.2], [1.0, 0.0]])
    bins = reliability(probabilities, np.array([0, 0, 1, 0]), bins=10)
    assert [(each.clips, each.accuracy) for each in bins] == [(3, pytest.approx(1 / 3)), (1, 1.0)]
    assert [each.confidence for each in bins] == pytest.approx([0.8, 1.0])
    assert (bins[0].low, bins[0].high) == pytest.approx((0.7, 0.8)), "the upper limit belongs to a bin"
    assert calibration_error(bins) == pytest.approx(3 / 4 * (0.8 - 1 / 3))


def test_probabilities_that_are_as_sure_as_right_have_no_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 200_000)
    truth = (rng.uniform(size=len(confidence)) > confidence).astype(np.int64)
    bins = reliability(np.stack([confidence, 1 - confidence], axis=1), truth)
    assert sum(each.clips for each in bins) == len(truth)
    assert all(each.high - each.low == pytest.approx(1 / BINS) for each in bins)
    assert calibration_error(bins) < 0.01
    too_sure = reliability(np.tile([1.0, 0.0], (len(truth), 1)), truth)
    assert calibration_error(too_sure) == pytest.approx(truth.mean())


def test_every_probability_has_its_bin() -> None:
    tiny = reliability(np.full((2, 40), 1 / 40), np.array([0, 5]))
    assert tiny == [Bin(low=0.0, high=1 / BINS, clips=2, confidence=1 / 40, accuracy=0.5)]
    for wrong in (np.array([], dtype=np.int64), np.array([0])):
        with pytest.raises(DataError):
            reliability(np.full((len(wrong) * 2, 3), 1 / 3), wrong)


def test_distances_from_votes_by_hand() -> None:
    votes = np.array([[0.5, 0.5, 0], [1, 0, 0]])
    assert cross_entropy(votes, votes) == pytest.approx(log(2) / 2)
    assert cross_entropy(votes, np.array([[0.25, 0.25, 0.5], [0.5, 0.5, 0]])) == pytest.approx(
        (log(4) + log(2)) / 2
    )
    assert np.isfinite(cross_entropy(votes, np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])))
    assert jensen_shannon(votes, votes) == 0
    assert jensen_shannon(votes, np.array([[0, 0, 1], [0, 1, 0]])) == pytest.approx(1)  # nothing is shared
    # H((p + q) / 2) - (H(p) + H(q)) / 2, the form of Lin's equation 4.1
    p, q = np.array([[0.7, 0.2, 0.1]]), np.array([[0.1, 0.3, 0.6]])
    entropy = [-(x * np.log2(x)).sum() for x in ((p + q) / 2, p, q)]
    assert jensen_shannon(p, q) == pytest.approx(entropy[0] - (entropy[1] + entropy[2]) / 2)
