"""Scores of predictions on a dataset: all sets together, each by itself, and among the labels a set knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.evaluation import Predictions, restricted, score
from s2d_edge.contracts.probability_scores import score_probabilities
from s2d_edge.data.reading.dataset import Dataset, Sample, vote_table


def score_sets(
    dataset: Dataset, samples: Sequence[Sample], predictions: Predictions, *, seed: int
) -> dict[str, Any]:
    """Score predictions as :func:`s2d_edge.contracts.evaluation.score` does, and their probabilities.

    Args:
        dataset: class indices follow the model's label order.
        samples: the n clips that were predicted.
        seed: of the bootstraps.

    Returns:
        The scores of all clips. Where a set lacks labels, ``restricted`` has those of the most probable label
        among the ones that the clip's set knows. Of several sets, ``sets`` has both for each by its name,
        with the ``labels`` it knows.
    """
    votes = vote_table(samples)
    truth = np.array([sample.label for sample in samples], dtype=np.int64)
    sources = np.array([sample.source for sample in samples], dtype=np.int64)

    def scored(mine: NDArray[np.bool_], known: NDArray[np.bool_]) -> dict[str, Any]:
        def figures(probabilities: NDArray[np.float32]) -> dict[str, Any]:
            predicted = probabilities.argmax(axis=1).astype(np.int64)
            found = score(truth[mine], predicted, dataset.labels, seed=seed)
            shares = None if votes is None else votes[mine]
            return found | score_probabilities(truth[mine], probabilities, shares)

        probabilities = predictions.probabilities[mine]
        if known.all():
            return figures(probabilities)
        among = restricted(probabilities, known).astype(np.float32)
        return figures(probabilities) | {"restricted": figures(among)}

    known = dataset.known[sources]  # (n, K)
    result = scored(np.ones(len(truth), dtype=np.bool_), known)
    if len(dataset.sources) == 1:
        return result
    sets = {}
    for number, source in enumerate(dataset.sources):
        mine = sources == number
        if mine.any():
            sets[source.name] = {"labels": list(source.labels)} | scored(mine, known[mine])
    return result | {"sets": sets}
