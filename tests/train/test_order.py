"""Order of the clips in an epoch, and the learning rate of a step."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from s2d_edge.train.loop.optimizer import learning_rate
from s2d_edge.train.loop.order import epoch_order

LABELS = np.repeat([0, 1, 2], [70, 20, 10])
EVEN = np.ones(100)


def test_an_unbalanced_epoch_sees_every_clip_once() -> None:
    order = epoch_order(LABELS, EVEN, seed=1, epoch=0)
    assert sorted(order) == list(range(100))
    assert list(order) != list(range(100))


def test_epochs_and_seeds_differ_and_repeat() -> None:
    first = epoch_order(LABELS, EVEN, seed=1, epoch=0, balance=0.5)
    assert np.array_equal(first, epoch_order(LABELS, EVEN, seed=1, epoch=0, balance=0.5))
    assert not np.array_equal(first, epoch_order(LABELS, EVEN, seed=1, epoch=1, balance=0.5))
    assert not np.array_equal(first, epoch_order(LABELS, EVEN, seed=2, epoch=0, balance=0.5))


def test_without_balance_a_shorter_epoch_repeats_no_clip() -> None:
    order = epoch_order(LABELS, EVEN, seed=3, epoch=2, clips=90)
    assert len(order) == len(set(order)) == 90
    assert set(order) < set(range(100))


def test_without_balance_a_longer_epoch_keeps_the_shares_of_the_classes() -> None:
    order = epoch_order(LABELS, EVEN, seed=3, epoch=2, clips=250)
    assert np.bincount(LABELS[order]).tolist() == [175, 50, 25]
    assert set(np.bincount(order, minlength=100)) == {2, 3}


@pytest.mark.parametrize(
    ("balance", "clips", "expected"),
    [(1.0, 90, [30, 30, 30]), (0.5, 161, [84, 45, 32])],  # 161 is the sum of 10 times the square roots
)
def test_balance_sets_the_shares_of_the_classes(balance: float, clips: int, expected: list[int]) -> None:
    order = epoch_order(LABELS, EVEN, seed=3, epoch=2, balance=balance, clips=clips)
    assert len(order) == clips
    assert np.abs(np.bincount(LABELS[order]) - expected).max() <= 1  # of which remainders decide


def test_a_rare_class_repeats_its_clips_evenly() -> None:
    order = epoch_order(LABELS, EVEN, seed=3, epoch=2, balance=1.0, clips=90)
    rare = np.bincount(order, minlength=100)[90:]
    assert set(rare.tolist()) == {3}
    common = np.bincount(order, minlength=100)[:70]
    assert common.max() == 1


def test_uneven_shares_still_fill_the_epoch() -> None:
    for epoch in range(20):
        order = epoch_order(LABELS, EVEN, seed=0, epoch=epoch, balance=0.7, clips=101)
        assert len(order) == 101


def test_the_rate_warms_up_and_falls_to_its_floor() -> None:
    rates = [learning_rate(step, total=100, warmup=10, peak=1.0, final=0.01) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.01)
    assert learning_rate(0, total=10, warmup=0, peak=1.0, final=0.0) == 1.0
