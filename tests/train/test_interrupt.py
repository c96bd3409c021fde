"""Signals are noticed between steps, and at once where no step would notice them."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

# In a process of its own: an interrupt that goes astray would end the one that tests.
_PROGRAM = """
import signal
from s2d_edge.train.context import InterruptGuard

signal.signal(signal.SIGINT, signal.default_int_handler)  # the parent may ignore them
signal.signal(signal.SIGHUP, signal.SIG_DFL)

def raised(number):
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        return True
    return False

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    before = signal.getsignal(number)
    with InterruptGuard() as guard:
        assert raised(number)  # while clips are prepared, say
        with guard.saving():
            assert not guard.requested
            assert not raised(number)
            assert guard.requested
            assert raised(number)
    assert signal.getsignal(number) is before
    print(number.name)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with InterruptGuard() as guard:
    assert not raised(signal.SIGHUP)
"""


def test_while_saving_the_first_signal_requests_a_stop_and_otherwise_it_interrupts() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "SIGINT\nSIGTERM\nSIGHUP\n"), done.stderr
    assert done.stderr.count("SIG") == 3  # each request is answered
