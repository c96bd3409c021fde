"""Accuracy, intervals and paired comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from s2d_edge.core import metrics
from s2d_edge.core.errors import DataError


def classes(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


TRUTH = classes(0, 0, 0, 0, 1, 1, 2)
ANSWER = classes(0, 0, 0, 1, 1, 0, 0)


def test_confusion_has_truth_in_rows() -> None:
    counts = metrics.confusion(TRUTH, ANSWER, 4)
    assert counts.tolist() == [[3, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_rates_leave_out_classes_without_support() -> None:
    counts = metrics.confusion(TRUTH, ANSWER, 4)
    assert metrics.war(counts) == pytest.approx(4 / 7)
    assert metrics.uar(counts) == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    # F1 = 2 TP / (support + claimed)
    assert metrics.macro_f1(counts) == pytest.approx((6 / 9 + 2 / 4 + 0) / 3)
    assert np.isnan(metrics.recalls(counts)[3])


@pytest.mark.parametrize(
    ("truth", "answer", "message"),
    [
        (classes(), classes(), "cannot score 0 answers"),
        (classes(0, 1), classes(0), "cannot score 1 answers against 2 labels"),
        (classes(0, 3), classes(0, 0), "label has an index outside the 3 classes"),
        (classes(0, 1), classes(0, -1), "answer has an index outside"),
    ],
)
def test_what_cannot_be_scored(truth: NDArray[np.int64], answer: NDArray[np.int64], message: str) -> None:
    with pytest.raises(DataError, match=message):
        metrics.confusion(truth, answer, 3)


def noisy_answers(n: int, right: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, n)
    answer = np.where(generator.random(n) < right, truth, (truth + 1) % 3)
    return truth, answer


def test_interval_is_seeded_and_has_the_binomial_width() -> None:
    truth, answer = noisy_answers(1000, 0.8, seed=1)
    low, high = metrics.war_interval(truth, answer, 3, seed=5)
    assert (low, high) == metrics.war_interval(truth, answer, 3, seed=5)
    assert metrics.uar_interval(truth, answer, 3, seed=5) != metrics.uar_interval(truth, answer, 3, seed=6)
    p = metrics.war(metrics.confusion(truth, answer, 3))
    assert low < p < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 1000), rel=0.1)


def test_uar_interval_widens_with_a_rare_class() -> None:
    truth = np.repeat([0, 1], [500, 10])
    answer = truth.copy()
    answer[:100], answer[500:502] = 1, 0  # both classes at 80 % recall
    uar_low, uar_high = metrics.uar_interval(truth, answer, 2)
    war_low, war_high = metrics.war_interval(truth, answer, 2)
    assert uar_high - uar_low > 2 * (war_high - war_low)


def test_macro_f1_interval_resamples_answers_within_each_class() -> None:
    truth, answer = noisy_answers(300, 0.8, seed=3)
    low, high = metrics.macro_f1_interval(truth, answer, 4, seed=5)
    assert (low, high) == metrics.macro_f1_interval(truth, answer, 4, seed=5)
    generator = np.random.default_rng(0)
    resampled = []
    for _ in range(1000):  # as it is defined: clips drawn with replacement, class by class
        drawn = np.concatenate(
            [generator.choice(np.flatnonzero(truth == k), np.sum(truth == k)) for k in range(3)]
        )
        resampled.append(metrics.macro_f1(metrics.confusion(truth[drawn], answer[drawn], 4)))
    assert (low, high) == pytest.approx(tuple(np.percentile(resampled, [2.5, 97.5])), abs=0.006)
    assert metrics.macro_f1_interval(truth, truth, 4) == (1.0, 1.0)


def test_wilson_interval_has_a_width_where_all_or_none_are_right() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for hits, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert metrics.wilson_interval(hits, n) == pytest.approx((low, high), abs=5e-5)
    assert metrics.wilson_interval(7, 7)[1] == 1.0
    for hits, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(DataError, match="is no share"):
            metrics.wilson_interval(hits, n)


def test_paired_drop_is_narrower_than_the_difference_of_two_intervals() -> None:
    truth, before = noisy_answers(1000, 0.8, seed=2)
    after = before.copy()
    after[:20] = (truth[:20] + 1) % 3  # 20 clips are certainly wrong now
    lost = np.mean(before == truth) - np.mean(after == truth)
    low, high = metrics.war_drop_interval(truth, before, after, 3)
    assert low < lost < high
    assert high - low < 0.02
    war_low, war_high = metrics.war_interval(truth, before, 3)
    assert war_high - war_low > 0.04
    assert low > 0  # the drop is proved, though it is smaller than WAR's own interval


def test_paired_drop_of_identical_answers_is_zero() -> None:
    truth, answer = noisy_answers(50, 0.7, seed=3)
    assert metrics.war_drop_interval(truth, answer, answer, 3) == (0, 0)
    assert metrics.uar_drop_interval(truth, answer, answer, 3) == (0, 0)
    assert metrics.mcnemar_p(truth, answer, answer) == 1


def test_mcnemar_is_the_exact_binomial() -> None:
    truth = classes(*[0] * 10)
    before = classes(*[0] * 10)
    after = classes(*[1] * 6, *[0] * 4)
    assert metrics.mcnemar_p(truth, before, after) == pytest.approx(2 * 0.5**6)
    assert metrics.mcnemar_p(truth, after, before) == pytest.approx(2 * 0.5**6)
    many = np.zeros(5000, dtype=np.int64)
    assert metrics.mcnemar_p(many, many, many + 1) < 1e-300  # 2**5000 overflows no float


def test_agreement_counts_equal_answers_right_or_wrong() -> None:
    assert metrics.agreement(classes(0, 1, 2, 2), classes(0, 1, 2, 0)) == 0.75
    with pytest.raises(DataError, match="cannot compare 0 answers with 1"):
        metrics.agreement(classes(), classes(1))


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (8, 10, 0.4902, 0.9433), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_wilson_interval_is_the_published_one(hits: int, n: int, low: float, high: float) -> None:
    assert metrics.wilson_interval(hits, n) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_wilson_interval_of_no_share_is_refused(hits: int, n: int) -> None:
    with pytest.raises(DataError, match="is no share"):
        metrics.wilson_interval(hits, n)
