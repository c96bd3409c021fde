"""Order of the clips in an epoch: a function of seed and epoch, so that resuming is exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def epoch_order(
    labels: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    seed: int,
    epoch: int,
    balance: float = 0.0,
    clips: int = 0,
) -> NDArray[np.int64]:
    """Indices of the clips of one epoch, in training order.

    Classes are drawn in proportion to ``count ** (1 - balance)``, where a clip counts as much as it weighs.
    What is drawn more often than it has clips repeats them evenly: within the clips of a class that weigh the
    same, the numbers of repeats differ by at most one.

    Args:
        labels: (n,) class index of each training clip.
        weights: (n,) weight of each training clip: within a class it is drawn in proportion to it.
        balance: 0 leaves the classes as they are, 1 makes them equally frequent.
        clips: length of the epoch; 0 takes n.

    Returns:
        (clips,) int64 indices into ``labels``.
    """
    generator = np.random.default_rng((seed, epoch))
    length = clips or len(labels)
    even = bool((weights == weights[0]).all())
    if balance == 0 and even and length <= len(labels):
        return generator.permutation(len(labels))[:length]
    if even:
        weights = np.ones_like(weights)
    groups = sorted(set(zip(labels.tolist(), weights.tolist(), strict=True)))
    members = [np.flatnonzero((labels == label) & (weights == weight)) for label, weight in groups]
    totals = np.bincount(labels, weights=weights)[[label for label, _ in groups]]  # of each group's class
    within = np.array([len(mine) * weight for mine, (_, weight) in zip(members, groups, strict=True)])
    shares = within / totals * totals ** (1.0 - balance)
    wanted = _apportion(shares / shares.sum() * length, generator)
    chosen = [_repeat_evenly(mine, number, generator) for mine, number in zip(members, wanted, strict=True)]
    order: NDArray[np.int64] = generator.permutation(np.concatenate(chosen))
    return order


def _apportion(shares: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Round ``shares`` to whole numbers of equal sum; larger remainders are likelier to be rounded up."""
    whole = np.floor(shares).astype(np.int64)
    missing = round(float(shares.sum())) - int(whole.sum())
    rest = shares - whole
    if missing:
        extra = generator.choice(len(shares), missing, replace=False, p=rest / rest.sum())
        whole[extra] += 1
    return whole


def _repeat_evenly(
    indices: NDArray[np.int64], number: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    rounds = -(-number // len(indices))
    repeats: NDArray[np.int64] = np.concatenate(
        [indices[:0], *(generator.permutation(indices) for _ in range(rounds))]
    )
    return repeats[:number]
