"""A validation split shares no person with training, keeps the classes' shares, and is seeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.data.reading.splits import carve_validation, unvalidated


def _samples(subjects: int = 40, each: int = 5) -> list[Sample]:
    return [
        Sample(path=Path(f"{s}-{k}.png"), label=(s + k) % 3, split="train", subject=f"s{s}")
        for s in range(subjects)
        for k in range(each)
    ]


def test_no_subject_is_on_both_sides_and_classes_keep_their_share() -> None:
    train, val = carve_validation(_samples(), fraction=0.2, seed=0)
    assert {s.subject for s in train}.isdisjoint(s.subject for s in val)
    assert len(train) + len(val) == 200
    assert 30 <= len(val) <= 50
    assert max(Counter(s.label for s in val).values()) - min(Counter(s.label for s in val).values()) <= 6


People = list[tuple[int | None, int]]


def _clips(people: People) -> list[Sample]:
    return [
        Sample(path=Path(f"{k}.png"), label=label, split="train", subject=None if who is None else f"s{who}")
        for k, (who, label) in enumerate(people)
    ]


def most_classes(samples: Sequence[Sample]) -> int:
    """The most classes that validation can show while training keeps all: tries every choice of people."""
    people: dict[object, set[int]] = {}
    for index, sample in enumerate(samples):
        people.setdefault(sample.subject or index, set()).add(sample.label)
    everything = set().union(*people.values())
    best = 0
    for count in range(1, len(people)):
        for out in combinations(people, count):
            kept = set().union(*(people[who] for who in people if who not in out))
            if kept == everything:
                best = max(best, len(set().union(*(people[who] for who in out))))
    return best


@given(
    people=st.lists(st.tuples(st.integers(0, 7) | st.none(), st.integers(0, 4)), min_size=1, max_size=10),
    fraction=st.floats(0.05, 0.5),
    seed=st.integers(0, 5),
)
@example(people=[(k, k) for k in range(4)], fraction=0.2, seed=0)  # a clip a class
@example(people=[(0, 0), (0, 0), (1, 1), (2, 1)], fraction=0.5, seed=1)  # the only person of class 0
@example(people=[(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (0, 2)], fraction=0.5, seed=1)  # not all at once
def test_every_class_stays_in_training_and_as_many_as_can_are_validated(
    people: People, fraction: float, seed: int
) -> None:
    samples = _clips(people)
    possible = most_classes(samples)
    if not possible:
        with pytest.raises(DataError):
            carve_validation(samples, fraction=fraction, seed=seed)
        return
    train, val = carve_validation(samples, fraction=fraction, seed=seed)
    assert sorted((*train, *val), key=samples.index) == samples
    assert ({s.subject for s in train} & {s.subject for s in val}) <= {None}
    assert {s.label for s in train} == {s.label for s in samples}
    assert len({s.label for s in val}) == possible


@pytest.mark.parametrize("each", [2, 3, 5])
@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.15, 0.3])
def test_few_clips_of_many_classes_are_all_validated(each: int, fraction: float) -> None:
    samples = [Sample(path=Path(f"{k}.png"), label=k % 50, split="train") for k in range(50 * each)]
    train, val = carve_validation(samples, fraction=fraction, seed=0)
    assert set(Counter(s.label for s in val)) == set(range(50))
    assert set(Counter(s.label for s in train)) == set(range(50))
    assert unvalidated(train, val, [str(k) for k in range(50)]) is None


def test_classes_that_cannot_be_validated_are_named_with_what_to_give() -> None:
    samples = _clips([(0, 0), (0, 0), (1, 1), (2, 1), (3, 2)])
    train, val = carve_validation(samples, fraction=0.2, seed=0)
    said = unvalidated(train, val, ["fear", "happy", "sad"])
    assert said is not None
    assert "fear, sad" in said
    assert "happy" not in said
    assert "'val'" in said


@pytest.mark.parametrize(
    "people", [[(0, 0), (1, 1)], [(None, 0), (None, 1), (None, 2)], [(0, 0), (0, 1), (1, 2)]]
)
def test_work_that_learns_no_classes_takes_somebody_out_all_the_same(people: People) -> None:
    samples = _clips(people)
    for seed in range(4):
        with pytest.raises(DataError):
            carve_validation(samples, fraction=0.25, seed=seed)
        train, val = carve_validation(samples, fraction=0.25, seed=seed, spare_classes=False)
        assert train
        assert val
        assert not {s.subject for s in train if s.subject} & {s.subject for s in val}


def test_a_person_under_two_spellings_stays_whole() -> None:
    samples = [
        Sample(path=Path(f"{k}.png"), label=k % 2, split="train", subject=name)
        for k, name in enumerate(["Ann", "ann", "Ann ", "Bo", "BO", "Z\u00f6", "Zo\u0308", "zo\u0308"] * 4)
    ]
    for seed in range(6):
        _, val = carve_validation(samples, fraction=0.3, seed=seed)
        for group in ({"Ann", "ann", "Ann "}, {"Bo", "BO"}, {"Z\u00f6", "Zo\u0308", "zo\u0308"}):
            assert {s.subject for s in val} & group in (set(), group)


def test_runs_of_before_carve_as_they_did() -> None:
    samples = _clips([(k * k % 31, k * k * 7 % 4 + k % 3) for k in range(90)])
    _, val = carve_validation(samples, fraction=0.15, seed=3, carving="by subject")
    assert sorted({s.subject for s in val if s.subject}) == ["s0", "s25", "s4", "s9"]
    many = [Sample(path=Path(f"{k}.png"), label=k % 50, split="train") for k in range(250)]
    assert len(carve_validation(many, fraction=0.1, seed=0, carving="by subject")[1]) == 1


def test_the_seed_decides() -> None:
    assert carve_validation(_samples(), fraction=0.2, seed=0) == carve_validation(
        _samples(), fraction=0.2, seed=0
    )
    assert (
        carve_validation(_samples(), fraction=0.2, seed=0)[1]
        != carve_validation(_samples(), fraction=0.2, seed=1)[1]
    )


def test_samples_without_a_subject_are_split_one_by_one() -> None:
    samples = [Sample(path=Path(f"{k}.png"), label=k % 2, split="train") for k in range(50)]
    train, val = carve_validation(samples, fraction=0.1, seed=0)
    assert len(val) == pytest.approx(5, abs=1)
    assert len(train) == 50 - len(val)


def test_few_subjects_still_give_one_to_validation() -> None:
    train, val = carve_validation(_samples(subjects=3), fraction=0.05, seed=0)
    assert len({s.subject for s in val}) == 1
    assert len({s.subject for s in train}) == 2


def test_one_subject_cannot_be_split() -> None:
    with pytest.raises(DataError, match="1 subject"):
        carve_validation(_samples(subjects=1), fraction=0.2, seed=0)
