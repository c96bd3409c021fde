"""Split validation clips from training clips so that no person is in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import Sample


def carve_validation(
    samples: Sequence[Sample], *, fraction: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Split ``samples`` into training and validation, whole subjects at a time.

    Subjects are shuffled with ``seed``; those go to validation that bring its class counts nearer to
    ``fraction`` of each class. A sample without a subject counts as a person of its own.

    Returns:
        The training samples and the validation samples, each in the order given.

    Raises:
        DataError: fewer than two subjects.
    """
    subjects: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        subjects.setdefault(sample.subject or f"\0{index}", []).append(index)
    names = sorted(subjects)
    np.random.default_rng(seed).shuffle(names)
    classes = 1 + max((sample.label for sample in samples), default=0)
    labels = np.array([sample.label for sample in samples], dtype=np.int64)
    missing = fraction * np.bincount(labels, minlength=classes)
    chosen: set[int] = set()
    for name in names:
        brings = np.bincount(labels[subjects[name]], minlength=classes)
        if np.square(missing - brings).sum() < np.square(missing).sum():
            missing = missing - brings
            chosen.update(subjects[name])
    if not chosen and len(names) > 1:  # so few that every subject overshoots: one is still needed
        chosen.update(subjects[names[0]])
    train = tuple(sample for index, sample in enumerate(samples) if index not in chosen)
    val = tuple(sample for index, sample in enumerate(samples) if index in chosen)
    if not train or not val:
        raise DataError(
            f"{len(samples)} training clips of {len(names)} subject(s) cannot be split into training and "
            "validation; give more subjects, or a 'val' split"
        )
    return train, val
