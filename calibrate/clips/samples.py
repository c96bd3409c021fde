"""Choose samples of a split evenly over classes and people."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from s2d_edge.core.errors import ConfigError
from s2d_edge.data.reading.dataset import Dataset, Sample


def choose_samples(dataset: Dataset, split: str, subset: int, seed: int) -> tuple[Sample, ...]:
    """Choose calibration clips, the classes in turn, so that rare expressions set the ranges too.

    A class with fewer clips than its share gives all it has and the others fill up. Within a class each
    person is taken once before anybody is taken twice: faces differ more than pictures of one face.

    Args:
        subset: number of clips; a smaller split gives all its clips.
        seed: of the choice.

    Raises:
        ConfigError: ``subset`` is not positive.
        DataError: the split has no clip.
    """
    if subset < 1:
        raise ConfigError(f"--subset {subset}: at least one calibration clip is needed")
    generator = random.Random(seed)  # noqa: S311  (a choice to repeat, not a secret)
    by_class: dict[int, list[Sample]] = {}
    for sample in dataset.require_split(split):
        by_class.setdefault(sample.label, []).append(sample)
    for label, samples in by_class.items():
        generator.shuffle(samples)
        by_class[label] = _people_in_turn(samples)
    turns = max(len(samples) for samples in by_class.values())
    in_turn = [
        by_class[label][turn]
        for turn in range(turns)
        for label in sorted(by_class)
        if turn < len(by_class[label])
    ]
    return tuple(in_turn[:subset])


def _people_in_turn(samples: Sequence[Sample]) -> list[Sample]:
    """Reorder samples: first one of each subject, then a second one of each, and so on; each turn in order.

    A sample without a subject counts as a person of its own.
    """
    seen: Counter[str] = Counter()
    turns: dict[int, list[Sample]] = {}
    for sample in samples:
        turn = 0
        if sample.subject is not None:
            turn = seen[sample.subject]
            seen[sample.subject] += 1
        turns.setdefault(turn, []).append(sample)
    return [sample for turn in sorted(turns) for sample in turns[turn]]
