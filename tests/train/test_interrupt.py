"""Signals are noticed between steps."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

# In a process of its own: an interrupt that goes astray would end the one that tests.
_PROGRAM = """
import signal, sys
from s2d_edge.train.context import InterruptGuard

number = signal.Signals[sys.argv[1]]
before = signal.getsignal(number)
with InterruptGuard() as guard:
    assert not guard.requested
    signal.raise_signal(number)
    assert guard.requested
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        print("interrupted")
assert signal.getsignal(number) is before
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_first_signal_requests_a_stop_and_the_second_interrupts(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, name], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
