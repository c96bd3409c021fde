"""Which clips an epoch sees, and at which learning rate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from s2d_edge.train.loop.optimizer import learning_rate
from s2d_edge.train.loop.order import epoch_order

LABELS = np.repeat([0, 1, 2], [70, 20, 10])


def test_an_unbalanced_epoch_sees_every_clip_once() -> None:
    order = epoch_order(LABELS, seed=1, epoch=0)
    assert sorted(order) == list(range(100))
    assert list(order) != list(range(100))


def test_epochs_and_seeds_differ_and_repeat() -> None:
    first = epoch_order(LABELS, seed=1, epoch=0, balance=0.5)
    assert np.array_equal(first, epoch_order(LABELS, seed=1, epoch=0, balance=0.5))
    assert not np.array_equal(first, epoch_order(LABELS, seed=1, epoch=1, balance=0.5))
    assert not np.array_equal(first, epoch_order(LABELS, seed=2, epoch=0, balance=0.5))


@pytest.mark.parametrize(("balance", "expected"), [(1.0, [30, 30, 30]), (0.0, [63, 18, 9])])
def test_balance_sets_how_often_classes_come(balance: float, expected: list[int]) -> None:
    order = epoch_order(LABELS, seed=3, epoch=2, balance=balance, clips=90)
    assert np.bincount(LABELS[order]).tolist() == pytest.approx(expected, abs=30 if balance == 0 else 0)
    assert len(order) == 90


def test_a_rare_class_repeats_its_clips_evenly() -> None:
    order = epoch_order(LABELS, seed=3, epoch=2, balance=1.0, clips=90)
    rare = np.bincount(order, minlength=100)[90:]
    assert set(rare.tolist()) == {3}
    common = np.bincount(order, minlength=100)[:70]
    assert common.max() == 1


def test_uneven_shares_still_fill_the_epoch() -> None:
    for epoch in range(20):
        order = epoch_order(LABELS, seed=0, epoch=epoch, balance=0.7, clips=101)
        assert len(order) == 101


def test_the_rate_warms_up_and_falls_to_its_floor() -> None:
    rates = [learning_rate(step, total=100, warmup=10, peak=1.0, final=0.01) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.01)
    assert learning_rate(0, total=10, warmup=0, peak=1.0, final=0.0) == 1.0
