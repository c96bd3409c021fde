"""A hang is ended and reported with its stacks; a test that is only slow is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow(seconds=20)  # hardly any CPU time, but they wait

_CONFTEST = """
import pytest
from tests.watchdog.plugin import Watchdog, add_options

def pytest_addoption(parser):
    add_options(parser)

def pytest_configure(config):
    config.pluginmanager.register(Watchdog(config))
"""
_AFTER = "\ndef test_after():\n    pass\n"


def _run(folder: Path, test: str, *, idle_s: float, cpu_s: float) -> tuple[int, str]:
    """Run pytest in a process of its own; returns its exit code and everything that it printed."""
    (folder / "conftest.py").write_text(_CONFTEST)
    (folder / "test_it.py").write_text(test + _AFTER)
    limits = {"watchdog_idle_s": idle_s, "watchdog_cpu_s": cpu_s, "watchdog_grace_s": 1}
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-v", "test_it.py"]
    words += [f"-o{name}={value}" for name, value in limits.items()]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode, done.stdout


def test_hangs_fail_with_their_stacks_and_the_next_test_runs(tmp_path: Path) -> None:
    waits = {
        "lock": "threading.Event().wait()",
        "child": "subprocess.run(['sleep', '1000'])",
        "end_of_child": "with subprocess.Popen(['sleep', '1000']): raise OSError",
        "poll": "while True: time.sleep(0.1)",
    }
    tests = "".join(f"def test_{name}():\n    {wait}\n" for name, wait in waits.items())
    setup = "@pytest.fixture\ndef stuck():\n    threading.Event().wait()\ndef test_setup(stuck):\n    pass\n"
    code, said = _run(
        tmp_path, f"import pytest, subprocess, threading, time\n{tests}{setup}", idle_s=1, cpu_s=1000
    )
    assert code == 1
    for name in waits:
        assert f"test_it.py::test_{name} FAILED" in said
        assert f"in test_{name}" in said
    assert "test_it.py::test_setup ERROR" in said
    assert said.count("the test hangs: nothing has used CPU time for") >= 5
    assert "test_it.py::test_after PASSED" in said


def test_a_busy_loop_fails_by_its_cpu_time(tmp_path: Path) -> None:
    code, said = _run(tmp_path, "def test_that_spins():\n    while True: pass\n", idle_s=1000, cpu_s=2)
    assert code == 1
    assert "test_it.py::test_that_spins FAILED" in said
    assert "of CPU time were used, over 2 s" in said
    assert "test_it.py::test_after PASSED" in said


def test_a_hang_that_python_cannot_interrupt_is_killed_after_its_stacks(tmp_path: Path) -> None:
    deadlock = (
        "import ctypes\n"
        "def test_that_holds_pythons_lock():\n"
        "    lock, libc = ctypes.create_string_buffer(64), ctypes.PyDLL(None)\n"
        "    while True: libc.pthread_mutex_lock(lock)\n"
    )
    code, said = _run(tmp_path, deadlock, idle_s=1, cpu_s=1000)
    assert code == -9
    assert "in test_that_holds_pythons_lock" in said


def test_a_test_that_waits_for_a_busy_process_is_no_hang(tmp_path: Path) -> None:
    busy = "import time; end = time.process_time() + 4\nwhile time.process_time() < end: pass"
    test = f"import subprocess, sys\ndef test_slow():\n    subprocess.run([sys.executable, '-c', {busy!r}])\n"
    code, said = _run(tmp_path, test, idle_s=1, cpu_s=1000)
    assert code == 0
    assert "2 passed" in said
