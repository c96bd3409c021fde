"""A validation split shares no person with training, keeps the classes' shares, and is seeded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.data.reading.splits import carve_validation


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


@given(
    people=st.lists(st.tuples(st.integers(0, 9) | st.none(), st.integers(0, 3)), min_size=1, max_size=40),
    fraction=st.floats(0.05, 0.5),
    seed=st.integers(0, 5),
)
def test_any_clips_are_split_whole_and_by_person_or_refused(
    people: list[tuple[int | None, int]], fraction: float, seed: int
) -> None:
    samples = [
        Sample(path=Path(f"{k}.png"), label=label, split="train", subject=None if who is None else f"s{who}")
        for k, (who, label) in enumerate(people)
    ]
    alone = sum(sample.subject is None for sample in samples)
    if alone + len({sample.subject for sample in samples} - {None}) < 2:
        with pytest.raises(DataError):
            carve_validation(samples, fraction=fraction, seed=seed)
        return
    train, val = carve_validation(samples, fraction=fraction, seed=seed)
    assert train
    assert val
    assert sorted((*train, *val), key=samples.index) == samples
    assert ({s.subject for s in train} & {s.subject for s in val}) <= {None}


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
