"""The sets that a training joins: how often each is drawn, and how much it counts in validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import ConfigError
from s2d_edge.data.reading.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedSets:
    """The S sets of a training, in the order of ``--data``.

    Attributes:
        names: of each.
        weights: of each; a clip of a set is drawn in proportion to it.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]

    def of_clips(self, sources: NDArray[np.int64]) -> NDArray[np.float64]:
        """Weight of each training clip, (n,).

        Args:
            sources: (n,) the set of each.
        """
        return np.array(self.weights)[sources]

    def shares(self, sources: NDArray[np.int64]) -> dict[str, float]:
        """Share of each set in the clips drawn; the sets count as much in the choice of the best epoch.

        Args:
            sources: (n,) the set of each training clip.
        """
        drawn = np.bincount(sources, minlength=len(self.names)) * np.array(self.weights)
        return dict(zip(self.names, (drawn / drawn.sum()).tolist(), strict=True))


def joined_sets(dataset: Dataset, weights: tuple[float, ...]) -> JoinedSets:
    """The sets of a dataset with their weights.

    Args:
        weights: ``set_weights``; one value stands for all sets.

    Raises:
        ConfigError: neither one weight nor one for each set.
    """
    names = tuple(source.name for source in dataset.sources)
    if len(weights) not in (1, len(names)):
        raise ConfigError(
            f"set_weights={list(weights)} has {len(weights)} values for {len(names)} set(s) "
            f"({', '.join(names)}); give one for each --data, in their order"
        )
    return JoinedSets(names=names, weights=weights * len(names) if len(weights) == 1 else weights)
