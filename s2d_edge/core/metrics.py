"""Accuracy of a classifier with its confidence interval, and the difference of two classifiers.

WAR (weighted average recall) is plain accuracy; UAR (unweighted average recall) averages the recalls of
the classes that have support. Intervals are percentile bootstraps over clips, seeded, and *stratified*:
each class is resampled within itself. So a class with few clips never vanishes from a resample, which would
make UAR jump. The price is that WAR's interval leaves out how the class mix itself could vary. Intervals of
single recalls are Wilson's.

Where all clips of every class have equal outcomes, all resamples are equal, and a bootstrap has no width. The
interval then comes from Wilson's (:func:`_wilson_mean`), and is as wide as so few clips demand.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import DataError

Labels = NDArray[np.int64]  # (n,) class indices
Counts = NDArray[np.int64]  # (K, K), rows truth, columns prediction
Interval = tuple[float, float]
_Values = NDArray[np.float64] | NDArray[np.bool_]  # (n,), of each clip

RESAMPLES = 2000
_COVERAGE = (2.5, 97.5)  # percentiles of a 95 % interval
_Z95 = 1.959964  # the standard normal's 97.5 % quantile


def confusion(truth: Labels, predicted: Labels, classes: int) -> Counts:
    """Confusion matrix.

    Args:
        truth: (n,) class indices, each in [0, classes).
        predicted: (n,) class indices, each in [0, classes).

    Returns:
        (K, K) int64; rows are the true classes, columns the predicted ones.

    Raises:
        DataError: no clip, different lengths, or an index out of range.
    """
    _check(truth, predicted, classes)
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(
        classes, classes
    )  # (K, K)


def war(counts: Counts) -> float:
    """Weighted average recall: the share of clips predicted correctly, in [0, 1]."""
    return float(np.trace(counts) / counts.sum())


def recalls(counts: Counts) -> NDArray[np.float64]:
    """Recall of each class, (K,) float64 in [0, 1]; NaN where a class has no clip."""
    support = counts.sum(axis=1)
    return np.divide(np.diag(counts), support, out=np.full(len(counts), np.nan), where=support > 0)


def uar(counts: Counts) -> float:
    """Unweighted average recall: the mean recall of the classes that have clips, in [0, 1]."""
    return float(np.nanmean(recalls(counts)))


def macro_f1(counts: Counts) -> float:
    """Mean F1 of the classes that have clips, in [0, 1]."""
    support, predicted = counts.sum(axis=1), counts.sum(axis=0)
    present = support > 0
    return float(np.mean(2 * np.diag(counts)[present] / (support + predicted)[present]))


def war_interval(truth: Labels, predicted: Labels, classes: int, *, seed: int = 0) -> Interval:
    """95 % interval of WAR."""
    hit = truth == predicted
    if has_one_outcome(truth, hit, classes):
        return wilson_interval(int(hit.sum()), len(hit))
    return _interval(_resampled_war(truth, hit, classes, seed))


def uar_interval(truth: Labels, predicted: Labels, classes: int, *, seed: int = 0) -> Interval:
    """95 % interval of UAR."""
    hit = truth == predicted
    if has_one_outcome(truth, hit, classes):
        return _wilson_mean(_of_each_class(truth, hit, classes))
    return _interval(_resampled_uar(truth, hit, classes, seed))


def macro_f1_interval(truth: Labels, predicted: Labels, classes: int, *, seed: int = 0) -> Interval:
    """95 % interval of the macro F1."""
    counts = confusion(truth, predicted, classes)
    support = counts.sum(axis=1)
    present = np.flatnonzero(support)  # (C,)
    if all(np.count_nonzero(counts[k]) == 1 for k in present):  # as far from it as the mean recall may be
        hit = truth == predicted
        low, high = _wilson_mean(_of_each_class(truth, hit, classes))
        off = macro_f1(counts) - uar(counts)
        return max(0.0, low + off), min(1.0, high + off)
    generator = np.random.default_rng(seed)
    # Drawing a class's clips with replacement is drawing their predicted labels.
    drawn = np.stack(
        [generator.multinomial(support[k], counts[k] / support[k], size=RESAMPLES) for k in present], axis=1
    )  # (R, C, K)
    hits = drawn[:, np.arange(len(present)), present]  # (R, C)
    claims = drawn.sum(axis=1)[:, present]  # (R, C)
    return _interval(np.asarray((2 * hits / (support[present] + claims)).mean(axis=1), dtype=np.float64))


def war_drop_interval(
    truth: Labels, before: Labels, after: Labels, classes: int, *, seed: int = 0
) -> Interval:
    """95 % interval of WAR(before) − WAR(after), paired: a clip is resampled with both predictions."""
    lost = _lost(truth, before, after, classes)
    if has_one_outcome(truth, lost, classes):
        return _wilson_mean([lost])
    return _interval(_resampled_war(truth, lost, classes, seed))


def uar_drop_interval(
    truth: Labels, before: Labels, after: Labels, classes: int, *, seed: int = 0
) -> Interval:
    """95 % interval of UAR(before) − UAR(after), paired: a clip is resampled with both predictions."""
    lost = _lost(truth, before, after, classes)
    if has_one_outcome(truth, lost, classes):
        return _wilson_mean(_of_each_class(truth, lost, classes))
    return _interval(_resampled_uar(truth, lost, classes, seed))


def has_one_outcome(truth: Labels, values: _Values, classes: int) -> bool:
    """True if the clips of each class have one value: a bootstrap of them has no width.

    Args:
        values: (n,) of each clip, such as whether it was predicted correctly.
    """
    return all(len(np.unique(group)) == 1 for group in _of_each_class(truth, values, classes))


def wilson_interval(hits: int, n: int) -> Interval:
    """95 % interval of a share, such as a class's recall (Wilson 1927).

    Unlike a bootstrap it has a width where all or none of a few clips were predicted correctly.

    Raises:
        DataError: ``n`` is not positive, or ``hits`` not in [0, n].
    """
    if n < 1 or not 0 <= hits <= n:
        raise DataError(f"{hits} of {n} is no share; wanted a count of at least 1, and 0 to that many hits")
    share, square = hits / n, _Z95**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = _Z95 / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n**2))
    return max(0.0, centre - half) if hits else 0.0, min(1.0, centre + half) if hits < n else 1.0


def agreement(before: Labels, after: Labels) -> float:
    """Share of clips on which two classifiers predict the same label, right or wrong, in [0, 1].

    Raises:
        DataError: no clip, or different lengths.
    """
    if not len(before) or len(before) != len(after):
        raise DataError(f"cannot compare {len(before)} predictions with {len(after)}; give as many of each")
    return float(np.mean(before == after))


def mcnemar_p(truth: Labels, before: Labels, after: Labels) -> float:
    """Exact two-sided McNemar test that two classifiers err equally often on the same clips.

    Returns:
        p in (0, 1]; 1 when they never differ in being right.
    """
    lost = int(np.sum((before == truth) & (after != truth)))
    won = int(np.sum((before != truth) & (after == truth)))
    differing = lost + won
    tail: int = sum(comb(differing, k) for k in range(min(lost, won) + 1))
    total: int = 2**differing  # as whole numbers: their quotient is right however large they are
    return min(1.0, 2 * tail / total)


def _check(truth: Labels, predicted: Labels, classes: int) -> None:
    if not len(truth) or len(truth) != len(predicted):
        raise DataError(
            f"cannot score {len(predicted)} predictions against {len(truth)} labels; wanted as many of each"
        )
    for name, indices in (("label", truth), ("prediction", predicted)):
        if indices.min() < 0 or indices.max() >= classes:
            raise DataError(
                f"a {name} has an index outside the {classes} classes: {indices.min()}…{indices.max()}"
            )


def _resampled_hits(
    truth: Labels, hit: _Values, classes: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sum of ``hit`` per class in each resample.

    Returns:
        (R, C) float64 sums and (C,) int64 supports, over the C classes that have clips.
    """
    generator = np.random.default_rng(seed)
    sums, supports = [], []
    for label in range(classes):
        values = np.asarray(hit[truth == label], dtype=np.float64)
        if not len(values):
            continue
        # Drawing n clips with replacement and summing depends on the values' counts only.
        kinds, counts = np.unique(values, return_counts=True)
        draws = generator.multinomial(len(values), counts / len(values), size=RESAMPLES)  # (R, kinds)
        sums.append(draws @ kinds)
        supports.append(len(values))
    return np.stack(sums, axis=1), np.array(supports, dtype=np.int64)


def _resampled_war(truth: Labels, hit: _Values, classes: int, seed: int) -> NDArray[np.float64]:
    sums, supports = _resampled_hits(truth, hit, classes, seed)
    return np.asarray(sums.sum(axis=1) / supports.sum(), dtype=np.float64)


def _resampled_uar(truth: Labels, hit: _Values, classes: int, seed: int) -> NDArray[np.float64]:
    sums, supports = _resampled_hits(truth, hit, classes, seed)
    return np.asarray((sums / supports).mean(axis=1), dtype=np.float64)


def _interval(values: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(values, _COVERAGE)
    return float(low), float(high)


def _lost(truth: Labels, before: Labels, after: Labels, classes: int) -> NDArray[np.float64]:
    """(n,): 1 where a right prediction became wrong, -1 where a wrong one became right, else 0.

    Both rates are linear in the hits, so their drop is the rate of these.
    """
    _check(truth, before, classes)
    _check(truth, after, classes)
    return np.asarray((before == truth).astype(np.float64) - (after == truth).astype(np.float64))


def _of_each_class(truth: Labels, values: _Values, classes: int) -> list[_Values]:
    """The values of the clips of each class that has some."""
    return [values[truth == k] for k in range(classes) if (truth == k).any()]


def _wilson_mean(groups: Sequence[_Values]) -> Interval:
    """95 % interval of the mean, over groups, of each group's mean of values -1, 0 and 1.

    Every group's shares of 1 and of -1 have Wilson's intervals; their distances from the shares add up as
    squares (MOVER: Zou and Donner 2008).
    """
    means, below, above = [], 0.0, 0.0
    for values in groups:
        n = len(values)
        won, lost = (int(np.sum(values == sign)) for sign in (1, -1))
        (won_low, won_high), (lost_low, lost_high) = wilson_interval(won, n), wilson_interval(lost, n)
        if values.dtype == bool:  # nothing can be lost
            lost_high = 0.0
        means.append((won - lost) / n)
        below += (won / n - won_low) ** 2 + (lost_high - lost / n) ** 2
        above += (won_high - won / n) ** 2 + (lost / n - lost_low) ** 2
    mean = sum(means) / len(means)
    low, high = mean - sqrt(below) / len(groups), mean + sqrt(above) / len(groups)
    return max(0.0 if groups[0].dtype == bool else -1.0, low), min(1.0, high)
