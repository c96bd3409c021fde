"""Work in several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.data.preparing.parallel import in_parallel


@pytest.mark.parametrize(("workers", "chunk"), [(1, 1), (2, 3)])
def test_results_come_in_order_and_errors_when_their_turn_comes(workers: int, chunk: int) -> None:
    words = [f"1/{k}" for k in range(1, 30)]
    assert list(in_parallel(Fraction, words, workers=workers, chunk=chunk)) == [Fraction(w) for w in words]
    words[20] = "1/0"
    results = in_parallel(Fraction, words, workers=workers, chunk=1)
    assert [next(results) for _ in range(20)] == [Fraction(w) for w in words[:20]]
    with pytest.raises(ZeroDivisionError):
        next(results)


def _half_or_die(job: int) -> float:
    if job in (3, 4, 11):
        os.kill(os.getpid(), signal.SIGSEGV)
    return job / 2


@pytest.mark.slow(seconds=4)
def test_a_job_that_ends_its_process_is_named_and_the_others_are_done() -> None:
    died: dict[int, str] = {}

    def note(job: int, how: str) -> float:
        died[job] = how
        return -1.0

    results = list(in_parallel(_half_or_die, range(16), workers=2, chunk=2, died=note))
    assert results == [-1.0 if job in (3, 4, 11) else job / 2 for job in range(16)]
    assert sorted(died) == [3, 4, 11]
    assert all("SIGSEGV" in how for how in died.values())
    first = in_parallel(_half_or_die, range(16), workers=2)
    assert [next(first) for _ in range(3)] == [0.0, 0.5, 1.0]
    with pytest.raises(S2DEdgeError, match="SIGSEGV at its work on 3"):
        next(first)


def _die_the_first_time(job: Path) -> bool:
    if job.exists():
        return True
    job.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return False


@pytest.mark.slow(seconds=2)
def test_a_process_killed_from_outside_loses_no_job(tmp_path: Path) -> None:
    jobs = [tmp_path / str(k) for k in range(4)]
    for job in jobs[1:]:
        job.touch()
    assert list(in_parallel(_die_the_first_time, jobs, workers=2)) == [True] * 4


_UNGUARDED = """
from fractions import Fraction
from s2d_edge.core.errors import exit_with_a_sentence
from s2d_edge.data.preparing.parallel import in_parallel

with exit_with_a_sentence():
    list(in_parallel(Fraction, ["1/2"] * 5, workers=2))
"""


def test_a_script_without_a_guard_gets_an_error_that_names_it(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(_UNGUARDED, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "__main__" in said


_KILLED = """
import os, sys, time
from pathlib import Path
from s2d_edge.data.preparing.parallel import in_parallel

def work(job):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(3600)

if __name__ == "__main__":
    list(in_parallel(work, range(4), workers=2))
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script, pids = tmp_path / "killed.py", tmp_path / "pids"
    script.write_text(_KILLED, encoding="utf-8")
    pids.mkdir()
    with subprocess.Popen([sys.executable, str(script), str(pids)], stderr=subprocess.DEVNULL) as parent:
        _wait_until(lambda: len(list(pids.iterdir())) == 2 or parent.poll() is not None)
        workers = [int(file.name) for file in pids.iterdir()]
        assert len(workers) == 2, "the parent ended by itself"
        assert all(map(_runs, workers))
        parent.send_signal(signal.SIGKILL)
    _wait_until(lambda: not any(map(_runs, workers)))


def _wait_until(done: Callable[[], bool]) -> None:
    while not done():  # the suite's watchdog ends what never comes
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """True while the process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def _nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.mark.slow(seconds=2)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupt_does_not_wait_for_what_the_processes_are_at(error: type[BaseException]) -> None:
    results = in_parallel(_nap, [0.0, 1e6, 1e6], workers=2)
    assert next(results) == 0.0
    with pytest.raises(error):
        results.throw(error)
