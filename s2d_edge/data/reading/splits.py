"""Split validation clips from training clips so that no person is in both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.data.reading.spelling import bare

# Which rule took validation clips out of training ones. Run folders record it: a resumed training must
# carve as it began.
Carving = Literal["by subject", "by class and subject"]
CARVING: Carving = "by class and subject"
_SEARCHED = 20_000  # steps; people who are each the only one of some class make the search long

_Clips = Counter[int]  # the number of clips of each class
_Labels = frozenset[int]


def carve_validation(
    samples: Sequence[Sample],
    *,
    fraction: float,
    seed: int,
    carving: Carving = CARVING,
    spare_classes: bool = True,
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Split ``samples`` into training and validation, whole subjects at a time.

    Every class keeps training clips, and as many classes as possible have validation clips; see
    :func:`unvalidated` for the others. Beyond that, subjects are shuffled with ``seed``, and those go to
    validation that bring its class counts nearer to ``fraction`` of each class. A sample without a subject
    counts as a person of its own; subjects that are spelled equally count as one.

    Args:
        carving: ``by subject`` is the rule of older runs, which knows nothing of classes with few people.
        spare_classes: False takes somebody out even where that leaves a class without other clips: for work
            that learns no classes, such as calibration.

    Returns:
        The training samples and the validation samples, each in the order given.

    Raises:
        DataError: no subject can be taken out.
    """
    if carving == "by subject":
        chosen = _by_subject(samples, fraction, seed)
    else:
        chosen = _by_class(samples, fraction, seed)
        if not chosen and not spare_classes:
            chosen = _by_subject(samples, fraction, seed)
    train = tuple(sample for index, sample in enumerate(samples) if index not in chosen)
    val = tuple(sample for index, sample in enumerate(samples) if index in chosen)
    if not train or not val:
        people = len({sample.subject or f"\0{index}" for index, sample in enumerate(samples)})
        raise DataError(
            f"{len(samples)} training clips of {people} subject(s) cannot be split into training and "
            "validation: whoever is taken out leaves a class without training clips; give clips of more "
            "people, or a 'val' split"
        )
    return train, val


def person(sample: Sample) -> str | None:
    """Who is in it, however spelled; one name in two sets is two people. None where that is unknown."""
    if not sample.subject:
        return None
    name = bare(sample.subject)
    return f"{name}\0{sample.source}" if sample.source else name


def unvalidated(train: Sequence[Sample], val: Sequence[Sample], labels: Sequence[str]) -> str | None:
    """A sentence that names the classes without validation clips, and what to do; None where all have some.

    Args:
        train: the training samples that ``val`` was taken out of.
        labels: class names in index order.
    """
    without = sorted({sample.label for sample in train} - {sample.label for sample in val})
    if not without:
        return None
    names = ", ".join(labels[k] for k in without)
    two = "people" if any(sample.subject for sample in train) else "clips"
    return (
        f"no validation clip shows {names}; for that a class needs at least two {two}, one of which no other "
        "class needs for training: add clips of more people, or give a 'val' split"
    )


def _by_subject(samples: Sequence[Sample], fraction: float, seed: int) -> set[int]:
    """Indices of the validation samples by the rule of older runs; it must never change."""
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
    return chosen


def _by_class(samples: Sequence[Sample], fraction: float, seed: int) -> set[int]:
    """Indices of the validation samples: first someone for every class, then up to ``fraction``."""
    subjects: dict[str, list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        who = person(sample)
        subjects[f"\0{index}" if who is None else who].append(index)
    names = sorted(subjects)
    np.random.default_rng(seed).shuffle(names)
    brings = {name: Counter(samples[index].label for index in subjects[name]) for name in names}
    missing = {label: fraction * n for label, n in Counter(sample.label for sample in samples).items()}
    left = Counter(label for name in names for label in brings[name])  # people in training, of each class
    taken: set[str] = set()

    def take(name: str) -> None:
        taken.add(name)
        for label, count in brings[name].items():
            missing[label] -= count
            left[label] -= 1

    for name in _one_of_every_class(names, brings, missing):
        take(name)
    for name in names:
        spared = all(left[label] > 1 for label in brings[name])
        if name not in taken and spared and _gain(missing, brings[name]) > 0:
            take(name)
    return {index for name in taken for index in subjects[name]}


def _gain(missing: Mapping[int, float], brings: _Clips) -> float:
    """Return how much nearer these clips bring the validation split to its wanted class counts."""
    return sum(missing[label] ** 2 - (missing[label] - count) ** 2 for label, count in brings.items())


def _one_of_every_class(
    names: Sequence[str], brings: Mapping[str, _Clips], missing: Mapping[int, float]
) -> list[str]:
    """People who together show as many classes as possible, and leave every class somebody to train on.

    People with the same classes are interchangeable here: the best of them stands for all. Then the search
    is short, except where many people are each needed by some class.
    """
    best: dict[_Labels, str] = {}
    for name in names:
        labels = frozenset(brings[name])
        if labels not in best or _gain(missing, brings[name]) > _gain(missing, brings[best[labels]]):
            best[labels] = name
    people = Counter(label for name in names for label in brings[name])
    classes = sorted(
        (label for label in people if people[label] > 1), key=lambda label: (people[label], label)
    )
    kinds = sorted(best, key=lambda labels: -_gain(missing, brings[best[labels]]))
    return [best[labels] for labels in _cover(classes, kinds, people)]


def _cover(classes: Sequence[int], kinds: Sequence[_Labels], people: Mapping[int, int]) -> list[_Labels]:
    """Choose kinds of people, one each, so that as few of ``classes`` as possible are in none of them.

    Args:
        kinds: the classes of each kind; those to try first come first.
        people: the number of people of each class, of whom one at least must not be chosen.
    """
    by_class = {label: [kind for kind in kinds if label in kind] for label in classes}
    chosen: list[_Labels | None] = []  # for each class so far: the kind chosen for it, or none
    shown: Counter[int] = Counter()  # chosen people of each class
    found: list[_Labels] = []
    fewest, lost = len(classes) + 1, 0

    def ways(label: int) -> Iterator[tuple[_Labels | None, int]]:
        """Yield the kinds that may show a class, and how many classes each choice loses."""
        if shown[label]:
            yield None, 0
            return
        for kind in by_class[label]:
            if all(shown[other] + 1 < people[other] for other in kind):
                yield kind, 0
        yield None, 1

    stack: list[tuple[Iterator[tuple[_Labels | None, int]], int]] = []
    for _ in range(_SEARCHED + 2 * len(classes)):
        if lost < fewest and len(chosen) == len(classes):
            fewest, found = lost, [kind for kind in chosen if kind is not None]
        if fewest == 0:
            break
        if lost < fewest and len(chosen) < len(classes):
            stack.append((ways(classes[len(chosen)]), lost))
        step = None
        while stack and step is None:
            options, lost = stack[-1]
            if len(chosen) == len(stack):
                shown.subtract(chosen.pop() or ())
            step = next(options, None)
            if step is None:
                stack.pop()
        if step is None:
            break
        kind, cost = step
        lost += cost
        chosen.append(kind)
        shown.update(kind or ())
    return found
