"""Quality of a classifier's probabilities: how sure against how right, and how near to people's votes.

The expected calibration error (ECE) is that of C. Guo et al., "On Calibration of Modern Neural Networks",
arXiv 1706.04599, equation 3: clips fall into 15 bins of equal width by their confidence, the probability of
the predicted class; ECE is the mean over the clips of their bin's |accuracy - confidence|.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import DataError
from s2d_edge.core.metrics import Labels

BINS = 15
_LEAST = 1e-12  # a probability of 0 would make the cross-entropy infinite

Probabilities = NDArray[np.float32] | NDArray[np.float64]  # (n, K), rows sum to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Clips of nearly equal confidence.

    Attributes:
        low, high: limits of the confidence, of which the upper one is included.
        clips: how many there are.
        confidence: its mean over them.
        accuracy: the share of them that is predicted correctly.
    """

    low: float
    high: float
    clips: int
    confidence: float
    accuracy: float


def reliability(probabilities: Probabilities, truth: Labels, bins: int = BINS) -> list[Bin]:
    """Sort clips into bins of equal width by their confidence.

    Args:
        probabilities: (n, K).
        truth: (n,) class indices.

    Returns:
        The bins that hold clips, ascending.

    Raises:
        DataError: no clip, or different lengths.
    """
    if not len(truth) or len(truth) != len(probabilities):
        raise DataError(f"{len(probabilities)} predictions of {len(truth)} clips; give one of each clip")
    confidence = probabilities.max(axis=1).astype(np.float64)
    hit = probabilities.argmax(axis=1) == truth
    number = np.clip(np.ceil(confidence * bins).astype(np.int64), 1, bins)  # bin m is ((m - 1) / M, m / M]
    return [
        Bin(
            low=(k - 1) / bins,
            high=k / bins,
            clips=int((number == k).sum()),
            confidence=float(confidence[number == k].mean()),
            accuracy=float(hit[number == k].mean()),
        )
        for k in np.unique(number).tolist()
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error (ECE), in [0, 1]."""
    clips = sum(each.clips for each in bins)
    return sum(each.clips * abs(each.accuracy - each.confidence) for each in bins) / clips


def cross_entropy(shares: Probabilities, probabilities: Probabilities) -> float:
    """Mean over clips of -Σ s log p, in nats: the less, the nearer the probabilities are to the shares.

    Args:
        shares: (n, K), such as those of people's votes; their own entropy is the least value possible.
        probabilities: (n, K).
    """
    logs = np.log(np.clip(probabilities.astype(np.float64), _LEAST, None))
    return float(-(shares * logs).sum(axis=1).mean())


def jensen_shannon(shares: Probabilities, probabilities: Probabilities) -> float:
    """Mean over clips of the Jensen-Shannon divergence, in bits: 0 where equal, 1 where nothing is shared.

    J. Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Trans. Inf. Theory 37 (1991), equation
    4.1 with equal weights.

    Args:
        shares: (n, K).
        probabilities: (n, K).
    """
    one, other = shares.astype(np.float64), probabilities.astype(np.float64)
    middle = (one + other) / 2
    return float((_kl_bits(one, middle) + _kl_bits(other, middle)).mean() / 2)


def _kl_bits(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) Kullback-Leibler divergence of rows, in bits; q is above 0 where p is."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log2(ratio)).sum(axis=1), dtype=np.float64)
