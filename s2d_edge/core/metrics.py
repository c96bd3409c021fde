"""Accuracy of a classifier with its confidence interval, and the difference of two classifiers.

WAR (weighted average recall) is plain accuracy; UAR (unweighted average recall) averages the recalls of
the classes that have support. Intervals are percentile bootstraps over clips, seeded, and *stratified*:
each class is resampled within itself. So a class with few clips never vanishes from a resample, which would
make UAR jump. The price is that WAR's interval leaves out how the class mix itself could vary. Intervals of
single recalls are Wilson's.

Where all clips of a class have equal outcomes, all its resamples are equal, and a bootstrap gives it no
width. In UAR and F1, where a rare class counts as much as any, such a class gets Wilson's width
(:func:`_wilson_distances`); so does every rate where all classes are such. The interval is then as wide as so
few clips demand.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, hypot, sqrt

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
    return _mean_interval(truth, truth == predicted, classes, seed)


def macro_f1_interval(truth: Labels, predicted: Labels, classes: int, *, seed: int = 0) -> Interval:
    """95 % interval of the macro F1."""
    counts = confusion(truth, predicted, classes)
    support = counts.sum(axis=1)
    present = np.flatnonzero(support)  # (C,)
    generator = np.random.default_rng(seed)
    # Drawing a class's clips with replacement is drawing their predicted labels.
    drawn = np.stack(
        [generator.multinomial(support[k], counts[k] / support[k], size=RESAMPLES) for k in present], axis=1
    )  # (R, C, K)
    hits = drawn[:, np.arange(len(present)), present]  # (R, C)
    claims = drawn.sum(axis=1)[:, present]  # (R, C)
    resampled = np.asarray((2 * hits / (support[present] + claims)).mean(axis=1), dtype=np.float64)
    # A class that is predicted as one label throughout is as far from its F1 as its recall may be.
    steady = [(truth == predicted)[truth == k] for k in present if np.count_nonzero(counts[k]) == 1]
    return _widened(macro_f1(counts), _interval(resampled), _wilson_distances(steady), len(present))


def war_drop_interval(
    truth: Labels, before: Labels, after: Labels, classes: int, *, seed: int = 0
) -> Interval:
    """95 % interval of WAR(before) − WAR(after), paired: a clip is resampled with both predictions."""
    lost = _lost(truth, before, after, classes)
    if has_one_outcome(truth, lost, classes):
        return _mean_interval(np.zeros_like(truth), lost, 1, seed)
    return _interval(_resampled_war(truth, lost, classes, seed))


def uar_drop_interval(
    truth: Labels, before: Labels, after: Labels, classes: int, *, seed: int = 0
) -> Interval:
    """95 % interval of UAR(before) − UAR(after), paired: a clip is resampled with both predictions."""
    return _mean_interval(truth, _lost(truth, before, after, classes), classes, seed)


def has_one_outcome(truth: Labels, values: _Values, classes: int) -> bool:
    """True if the clips of each class have one value: a bootstrap of them has no width.

    Args:
        values: (n,) of each clip, such as whether it was predicted correctly.
    """
    return all(map(_is_steady, _of_each_class(truth, values, classes)))


def interval_method(truth: Labels, values: _Values, classes: int) -> str:
    """Name the method of the interval of UAR: ``bootstrap``, ``wilson``, or ``bootstrap and wilson``.

    Args:
        values: (n,) of each clip, such as whether it was predicted correctly.
    """
    groups = _of_each_class(truth, values, classes)
    steady = sum(map(_is_steady, groups))
    return "bootstrap" if not steady else "wilson" if steady == len(groups) else "bootstrap and wilson"


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


def _is_steady(values: _Values) -> bool:
    """True if all clips of a class have one value."""
    return len(np.unique(values)) == 1


def _mean_interval(truth: Labels, values: _Values, classes: int, seed: int) -> Interval:
    """95 % interval of the mean, over classes, of each class's mean of values -1, 0 and 1."""
    groups = _of_each_class(truth, values, classes)
    resampled = _interval(_resampled_uar(truth, values, classes, seed))
    mean = float(np.mean([group.mean() for group in groups]))
    steady = [group for group in groups if _is_steady(group)]
    lowest = 0.0 if values.dtype == bool else -1.0
    return _widened(mean, resampled, _wilson_distances(steady), len(groups), lowest)


def _widened(
    rate: float, resampled: Interval, squares: tuple[float, float], classes: int, lowest: float = 0.0
) -> Interval:
    """Add to a bootstrap's interval what classes without any spread may differ by.

    Distances from the rate add up as squares (MOVER: Zou and Donner 2008).

    Args:
        squares: of those classes, from :func:`_wilson_distances`.
        classes: number of all classes of which the rate is the mean.
    """
    below, above = (sqrt(square) / classes for square in squares)
    low = rate - hypot(rate - resampled[0], below)
    high = rate + hypot(resampled[1] - rate, above)
    return max(lowest, low), min(1.0, high)


def _wilson_distances(groups: Sequence[_Values]) -> tuple[float, float]:
    """Squares, summed over groups, of how far below and above its mean a group's mean of -1, 0 and 1 may be.

    Every group's shares of 1 and of -1 have Wilson's intervals.
    """
    below, above = 0.0, 0.0
    for values in groups:
        n = len(values)
        won, lost = (int(np.sum(values == sign)) for sign in (1, -1))
        (won_low, won_high), (lost_low, lost_high) = wilson_interval(won, n), wilson_interval(lost, n)
        if values.dtype == bool:  # nothing can be lost
            lost_high = 0.0
        below += (won / n - won_low) ** 2 + (lost_high - lost / n) ** 2
        above += (won_high - won / n) ** 2 + (lost / n - lost_low) ** 2
    return below, above
