"""A pytest plugin that ends tests which hang, and no test for being slow (:mod:`tests.watchdog.watcher`)."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

IDLE_S = 300.0
CPU_S = 1800.0
GRACE_S = 30.0
_OPTIONS = {
    "watchdog_idle_s": (IDLE_S, "a test hangs if its processes use no CPU time for so many seconds"),
    "watchdog_cpu_s": (CPU_S, "a test hangs if its processes use more CPU time than so many seconds"),
    "watchdog_grace_s": (GRACE_S, "seconds between failing a test, killing its children, and killing all"),
}


def add_options(parser: pytest.Parser) -> None:
    """Declare the settings in pyproject.toml or on the command line (``-o watchdog_idle_s=60``)."""
    for name, (default, text) in _OPTIONS.items():
        parser.addini(name, text, default=str(default))


class Watchdog:
    """Starts a watcher before the first test, and reports to it when tests start and end."""

    def __init__(self, config: pytest.Config) -> None:
        self._limits = [config.getini(name) for name in _OPTIONS]
        self._watcher: subprocess.Popen[str] | None = None
        self._running = False
        # The stacks are for the terminal, also while pytest captures file descriptor 2.
        self._stderr = os.fdopen(os.dup(sys.stderr.fileno()), "w")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        """Watch one test, setup and teardown included."""
        if self._watcher is None:
            self._watcher = self._start()
        self._say("start")
        self._running = True
        try:
            return (yield)
        finally:
            self._running = False
            self._say("end")

    def pytest_unconfigure(self) -> None:
        """End the watcher."""
        if self._watcher is not None:
            self._watcher.communicate()
        faulthandler.unregister(signal.SIGUSR2)
        self._stderr.close()

    def _start(self) -> subprocess.Popen[str]:
        signal.signal(signal.SIGUSR1, self._fail)
        faulthandler.register(signal.SIGUSR2, file=self._stderr, all_threads=True)
        words = [sys.executable, "-S", str(Path(__file__).with_name("watcher.py")), str(os.getpid())]
        return subprocess.Popen(
            [*words, *self._limits], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _say(self, line: str) -> None:
        assert self._watcher is not None
        assert self._watcher.stdin is not None
        try:
            self._watcher.stdin.write(f"{line}\n")
            self._watcher.stdin.flush()
        except BrokenPipeError:
            raise pytest.UsageError("the process that watches for hangs has ended") from None

    def _fail(self, number: int, frame: FrameType | None) -> None:
        """Fail the running test; signals are handled in the main thread, where tests run."""
        assert self._watcher is not None
        assert self._watcher.stdout is not None
        reason = self._watcher.stdout.readline().strip()
        if self._running:
            with tempfile.TemporaryFile("w+") as file:
                faulthandler.dump_traceback(file, all_threads=True)
                file.seek(0)
                pytest.fail(f"the test hangs: {reason}\n{file.read()}")
