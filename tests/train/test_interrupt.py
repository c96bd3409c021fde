"""Signals are noticed between steps."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

# In a process of its own: an interrupt that goes astray would end the one that tests.
_PROGRAM = """
import signal
from s2d_edge.train.context import InterruptGuard

for number in (signal.SIGINT, signal.SIGTERM):
    before = signal.getsignal(number)
    with InterruptGuard() as guard:
        assert not guard.requested
        signal.raise_signal(number)
        assert guard.requested
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            print(number.name)
    assert signal.getsignal(number) is before
"""


def test_the_first_signal_requests_a_stop_and_the_second_interrupts() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "SIGINT\nSIGTERM\n"), done.stderr
