"""Accuracy, intervals and paired comparisons against their plain formulas."""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2d_edge.contracts.evaluation import score
from s2d_edge.core import metrics
from s2d_edge.core.errors import DataError


def classes(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Truth and predictions of up to 40 clips, and the number of classes."""
    count = draw(st.integers(1, 6))
    pairs = draw(st.lists(st.tuples(*[st.integers(0, count - 1)] * 2), min_size=1, max_size=40))
    truth, predicted = zip(*pairs, strict=True)
    return classes(*truth), classes(*predicted), count


@given(drawn=predictions())
def test_rates_follow_their_plain_formulas(drawn: tuple[NDArray[np.int64], NDArray[np.int64], int]) -> None:
    truth, predicted, count = drawn
    pairs = list(zip(truth.tolist(), predicted.tolist(), strict=True))
    counts = metrics.confusion(truth, predicted, count)
    assert counts.tolist() == [[pairs.count((i, j)) for j in range(count)] for i in range(count)]
    assert metrics.war(counts) == pytest.approx(sum(t == p for t, p in pairs) / len(pairs))
    recalls, scores = [], []
    for k in range(count):
        hits, support, claimed = (
            pairs.count((k, k)),
            sum(t == k for t, _ in pairs),
            sum(p == k for _, p in pairs),
        )
        if support == 0:
            assert np.isnan(metrics.recalls(counts)[k])
            continue
        recall, precision = hits / support, hits / claimed if claimed else 0.0
        recalls.append(recall)
        scores.append(2 * precision * recall / (precision + recall) if hits else 0.0)
        assert metrics.recalls(counts)[k] == pytest.approx(recall)
    assert metrics.uar(counts) == pytest.approx(sum(recalls) / len(recalls))
    assert metrics.macro_f1(counts) == pytest.approx(sum(scores) / len(scores))


@given(drawn=predictions(), seed=st.integers(0, 9))
def test_intervals_are_ordered_seeded_and_blind_to_the_order_of_clips(
    drawn: tuple[NDArray[np.int64], NDArray[np.int64], int], seed: int
) -> None:
    truth, predicted, count = drawn
    order = np.random.default_rng(seed).permutation(len(truth))
    for interval in (metrics.war_interval, metrics.uar_interval, metrics.macro_f1_interval):
        low, high = interval(truth, predicted, count, seed=seed)
        assert 0 <= low <= high <= 1
        assert interval(truth[order], predicted[order], count, seed=seed) == (low, high)
        low, high = interval(truth, truth, count, seed=seed)
        assert 0 < low < high == pytest.approx(1)


@given(n=st.integers(1, 500), data=st.data())
def test_wilson_interval_ends_where_the_score_test_does(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = metrics.wilson_interval(hits, n)
    assert 0 <= low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high <= 1
    for end in (low, high):  # |p̂ − p| = z √(p (1 − p) / n), solved for p
        if 1e-9 < end < 1 - 1e-9:
            assert abs(hits / n - end) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / n), abs=1e-9)


@given(lost=st.integers(0, 12), won=st.integers(0, 12), same=st.integers(1, 9))
def test_mcnemar_is_the_two_sided_sign_test(lost: int, won: int, same: int) -> None:
    truth = np.zeros(lost + won + same, dtype=np.int64)
    before, after = truth.copy(), truth.copy()
    after[:lost], before[lost : lost + won] = 1, 1
    chances = [comb(lost + won, k) / 2 ** (lost + won) for k in range(lost + won + 1)]
    tail = sum(chance for k, chance in enumerate(chances) if k <= min(lost, won))
    assert metrics.mcnemar_p(truth, before, after) == pytest.approx(min(1.0, 2 * tail))


@pytest.mark.parametrize(
    ("truth", "predicted", "named"),
    [
        (classes(), classes(), "0 predictions"),
        (classes(0, 1), classes(0), "1 .* 2 "),
        (classes(0, 3), classes(0, 0), "label .*3 classes: 0…3"),
        (classes(0, 1), classes(0, -1), "prediction .*: -1…0"),
    ],
)
def test_predictions_that_cannot_be_scored_are_refused(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], named: str
) -> None:
    with pytest.raises(DataError, match=named):
        metrics.confusion(truth, predicted, 3)


def noisy_predictions(n: int, right: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, n)
    predicted = np.where(generator.random(n) < right, truth, (truth + 1) % 3)
    return truth, predicted


def test_interval_is_seeded_and_has_the_binomial_width() -> None:
    truth, predicted = noisy_predictions(1000, 0.8, seed=1)
    low, high = metrics.war_interval(truth, predicted, 3, seed=5)
    assert (low, high) == metrics.war_interval(truth, predicted, 3, seed=5)
    assert metrics.uar_interval(truth, predicted, 3, seed=5) != metrics.uar_interval(
        truth, predicted, 3, seed=6
    )
    p = metrics.war(metrics.confusion(truth, predicted, 3))
    assert low < p < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 1000), rel=0.1)


def test_uar_interval_widens_with_a_rare_class() -> None:
    truth = np.repeat([0, 1], [500, 10])
    predicted = truth.copy()
    predicted[:100], predicted[500:502] = 1, 0  # both classes at 80 % recall
    uar_low, uar_high = metrics.uar_interval(truth, predicted, 2)
    war_low, war_high = metrics.war_interval(truth, predicted, 2)
    assert uar_high - uar_low > 2 * (war_high - war_low)


@pytest.mark.parametrize(
    ("interval", "rate"),
    [
        (metrics.war_interval, metrics.war),
        (metrics.uar_interval, metrics.uar),
        (metrics.macro_f1_interval, metrics.macro_f1),
    ],
)
def test_intervals_are_percentiles_of_clips_resampled_within_each_class(
    interval: Callable[..., metrics.Interval], rate: Callable[[metrics.Counts], float]
) -> None:
    truth, predicted = noisy_predictions(300, 0.8, seed=3)
    generator = np.random.default_rng(0)
    resampled = []
    for _ in range(1000):  # the definition: clips drawn with replacement, class by class
        drawn = np.concatenate(
            [generator.choice(np.flatnonzero(truth == k), np.sum(truth == k)) for k in range(3)]
        )
        resampled.append(rate(metrics.confusion(truth[drawn], predicted[drawn], 4)))
    expected = tuple(np.percentile(resampled, [2.5, 97.5]))
    assert interval(truth, predicted, 4, seed=5) == pytest.approx(expected, abs=0.006)


def test_wilson_interval_has_a_width_where_all_or_none_are_right() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for hits, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (8, 10, 0.4902, 0.9433),
        (10, 10, 0.7225, 1.0),
        (1, 29, 0.0061, 0.1718),
    ):
        assert metrics.wilson_interval(hits, n) == pytest.approx((low, high), abs=5e-5)
    assert metrics.wilson_interval(7, 7)[1] == 1.0


def test_paired_drop_is_narrower_than_the_difference_of_two_intervals() -> None:
    truth, before = noisy_predictions(1000, 0.8, seed=2)
    after = before.copy()
    after[:20] = (truth[:20] + 1) % 3  # 20 clips are certainly wrong now
    lost = np.mean(before == truth) - np.mean(after == truth)
    low, high = metrics.war_drop_interval(truth, before, after, 3)
    assert low < lost < high
    assert high - low < 0.02
    war_low, war_high = metrics.war_interval(truth, before, 3)
    assert war_high - war_low > 0.04
    assert low > 0  # the drop is certain, though it is smaller than WAR's own interval


def test_paired_drop_of_equal_predictions_is_as_wide_as_so_few_clips_demand() -> None:
    truth, predicted = noisy_predictions(50, 0.7, seed=3)
    _, most = metrics.wilson_interval(0, 50)  # share of clips that may change all the same
    for interval in (metrics.war_drop_interval, metrics.uar_drop_interval):
        low, high = interval(truth, predicted, predicted, 3)
        assert high == pytest.approx(-low)
        assert low <= -most
    assert metrics.war_drop_interval(truth, predicted, predicted, 3) == pytest.approx((-most, most))
    assert metrics.mcnemar_p(truth, predicted, predicted) == 1


@pytest.mark.parametrize("right", [(True, True), (False, False), (True, False)])
def test_no_interval_of_few_clips_is_without_a_width(right: tuple[bool, bool]) -> None:
    """Where resampling shows none, all clips of each class being right or wrong."""
    truth = classes(*[0] * 7, *[1] * 7)
    predicted = np.where(np.array(right)[truth], truth, 1 - truth)
    hits = int((predicted == truth).sum())
    assert metrics.war_interval(truth, predicted, 2) == metrics.wilson_interval(hits, 14)
    rates = metrics.confusion(truth, predicted, 2)
    for rate, interval in (
        (metrics.uar, metrics.uar_interval),
        (metrics.macro_f1, metrics.macro_f1_interval),
    ):
        low, high = interval(truth, predicted, 2)
        assert 0 <= low <= rate(rates) <= high <= 1
        assert high - low > 0.2
    for drop in (metrics.war_drop_interval, metrics.uar_drop_interval):  # a whole class changes, or all
        low, high = drop(truth, truth, predicted, 2)
        assert -1 <= low <= 1 - hits / 14 <= high <= 1
        assert high - low > 0.2
    assert score(truth, predicted, ("a", "b"))["ci95_method"] == "wilson"


@pytest.mark.parametrize("rare", [2, 5])
def test_a_class_without_any_spread_adds_its_own_width(rare: int) -> None:
    """A rare class that is all right says little of itself, however many clips the others have."""
    truth = np.repeat([0, 1], [400, rare])
    predicted = truth.copy()
    predicted[:40] = 1  # of the frequent class, 90 % are right; of the rare one, all
    low, _ = metrics.wilson_interval(rare, rare)
    bounds = {}
    for interval in (metrics.uar_interval, metrics.macro_f1_interval):
        bounds[interval] = interval(truth, predicted, 2)
    rate = metrics.uar(metrics.confusion(truth, predicted, 2))
    assert rate - bounds[metrics.uar_interval][0] >= (1 - low) / 2
    assert bounds[metrics.uar_interval][1] < rate + 0.02, "its recall cannot be above 1"
    assert (
        bounds[metrics.macro_f1_interval][0]
        < metrics.macro_f1(metrics.confusion(truth, predicted, 2)) - (1 - low) / 2
    )
    assert score(truth, predicted, ("a", "b"))["ci95_method"] == "bootstrap and wilson"
    # The drop to predictions that change one clip is no surer than that to equal predictions.
    changed = predicted.copy()
    changed[399] = 1
    for other in (predicted, changed):
        below, above = metrics.uar_drop_interval(truth, predicted, other, 2)
        assert min(-below, above) >= (1 - low) / 2 - 0.01


def test_a_bootstrap_says_that_it_is_one() -> None:
    truth, predicted = noisy_predictions(50, 0.7, seed=3)
    assert score(truth, predicted, ("a", "b", "c"))["ci95_method"] == "bootstrap"


def test_mcnemar_is_the_exact_binomial() -> None:
    truth = classes(*[0] * 10)
    before = classes(*[0] * 10)
    after = classes(*[1] * 6, *[0] * 4)
    assert metrics.mcnemar_p(truth, before, after) == pytest.approx(2 * 0.5**6)
    assert metrics.mcnemar_p(truth, after, before) == pytest.approx(2 * 0.5**6)
    many = np.zeros(5000, dtype=np.int64)
    assert metrics.mcnemar_p(many, many, many + 1) < 1e-300  # 2**5000 overflows no float


def test_agreement_counts_equal_predictions_right_or_wrong() -> None:
    assert metrics.agreement(classes(0, 1, 2, 2), classes(0, 1, 2, 0)) == 0.75
    with pytest.raises(DataError, match="0 predictions with 1"):
        metrics.agreement(classes(), classes(1))


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_wilson_interval_of_impossible_counts_is_refused(hits: int, n: int) -> None:
    with pytest.raises(DataError, match=f"{hits} of {n}"):
        metrics.wilson_interval(hits, n)
