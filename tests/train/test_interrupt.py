"""Signals asked for between steps."""

from __future__ import annotations

import signal

import pytest

from s2d_edge.train.interrupt import InterruptGuard


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with InterruptGuard() as guard:
        assert signal.getsignal(number) is not before  # else the signal would end the process that tests
        assert not guard.requested
        signal.raise_signal(number)
        assert guard.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before
