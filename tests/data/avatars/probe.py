"""A linear probe: what a classifier without any idea of faces or motion finds in some numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def linear_probe(
    train: NDArray[np.generic],
    train_labels: NDArray[np.int64],
    test: NDArray[np.generic],
    test_labels: NDArray[np.int64],
    penalty: float = 1e-2,
) -> float:
    """Accuracy on ``test`` of a multinomial logistic regression fitted to ``train``.

    Features are standardised and scaled to unit squared length on average. The weights are a combination
    of the n training samples, so accelerated gradient descent runs on n × n inner products.

    Args:
        train, test: (n, …) samples.
        penalty: weight of the squared norm of the weights.
    """
    fit = train.reshape(len(train), -1).astype(np.float64)  # (n, D)
    see = test.reshape(len(test), -1).astype(np.float64)
    mean, spread = fit.mean(axis=0), fit.std(axis=0) + 1e-6
    scale = np.sqrt(fit.shape[1])
    fit, see = (fit - mean) / spread / scale, (see - mean) / spread / scale
    fit, see = np.c_[fit, np.ones(len(fit))], np.c_[see, np.ones(len(see))]
    inner = fit @ fit.T  # (n, n)
    truth = np.eye(int(train_labels.max()) + 1)[train_labels]
    step = 1.0 / (np.linalg.eigvalsh(inner)[-1] / (2 * len(fit)) + penalty)
    weights = previous = np.zeros_like(truth)
    for k in range(400):
        ahead = weights + (k / (k + 3)) * (weights - previous)
        logits = inner @ ahead
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        previous = weights
        weights = ahead - step * ((likely - truth) / len(fit) + penalty * ahead)
    guesses = (see @ (fit.T @ weights)).argmax(axis=1)
    return float((guesses == test_labels).mean())
