"""Clips are predicted, and the predictions scored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from s2d_edge.contracts.engine import softmax
from s2d_edge.contracts.evaluation import gather, score
from s2d_edge.core.errors import DataError


def test_windows_are_averaged_after_the_softmax() -> None:
    windows = np.array([[4, 0, 0], [0, 1, 0]], dtype=np.float32)
    single = np.array([[0, 0, 3]], dtype=np.float32)
    predictions = gather([windows, single])
    np.testing.assert_allclose(predictions.probabilities[0], softmax(windows).mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(predictions.logits, np.array([[2, 0.5, 0], [0, 0, 3]]))
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, rtol=1e-6)
    assert predictions.predicted.tolist() == [0, 2]


def test_no_clip_is_an_error() -> None:
    with pytest.raises(DataError, match="clip"):
        gather([])


def test_score_has_exactly_the_agreed_fields() -> None:
    truth = np.array([0, 0, 1, 1, 1])
    predicted = np.array([0, 1, 1, 1, 0])
    result = score(truth, predicted, ["happy", "sad", "fear"])
    assert list(result) == [
        "n",
        "war",
        "uar",
        "macro_f1",
        "war_ci95",
        "uar_ci95",
        "ci95_method",
        "per_class",
        "confusion",
    ]
    assert result["n"] == 5
    assert result["war"] == pytest.approx(0.6)
    assert result["uar"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert result["per_class"]["sad"] == {
        "recall": pytest.approx(2 / 3),
        "recall_ci95": pytest.approx([0.2077, 0.9385], abs=1e-4),
        "support": 3,
    }
    assert result["per_class"]["fear"] == {"recall": None, "recall_ci95": None, "support": 0}
    assert result["confusion"] == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    low, high = result["war_ci95"]
    assert 0 <= low <= 0.6 <= high <= 1
    assert json.loads(json.dumps(result, allow_nan=False)) == result
