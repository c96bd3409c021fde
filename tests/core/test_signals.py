"""Signals to end are heard in any phase, and leave alone what the parent had ignored."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from s2d_edge.core.signals import heard_signals, on_signals

# As in a long call of a library, no handler of ours is reached.
DEAF = """
import signal
from s2d_edge.core.signals import answered_in_time

numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
for number in numbers:
    signal.signal(number, lambda *_: None)
with answered_in_time():
    print("begun", flush=True)
    while True:
        signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_long_call_of_a_library_is_no_excuse(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DEAF], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert number.name in process.stderr.readline()
        process.send_signal(number)
    assert process.returncode == 128 + number


def test_signals_that_the_parent_ignored_stay_ignored() -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with on_signals(caught.append):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert caught == [signal.SIGTERM]


def test_signals_that_the_parent_did_not_ignore_are_heard() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
    try:
        assert signal.SIGHUP in heard_signals()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_have_no_signals() -> None:
    entered: list[bool] = []

    def work() -> None:
        with on_signals(lambda _: None):
            entered.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [True]
