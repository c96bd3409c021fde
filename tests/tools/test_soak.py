"""The long run's judge and its stream: growth is found where there is some, and connections break off."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from s2d_edge.data.avatars.clips import encode
from tests.pictures import plain
from tools.soak import Look, breaking_stream, growth_of, judge, look_at

ENDED = 128 + signal.SIGINT
NOISE_MIB = (0.0, 0.4, -0.3, 0.1, 0.2, -0.4)  # as an allocator's


def looks(
    resident: Callable[[float], float] = lambda _: 0.0,
    files: Callable[[float], int] = lambda _: 0,
    threads: Callable[[float], int] = lambda _: 0,
) -> list[Look]:
    """Thirty minutes, a look every five seconds; what grows with the minutes is given."""
    return [
        Look(
            t_s=5.0 * number,
            resident_mib=300 + resident(number / 12) + NOISE_MIB[number % 6],
            open_files=20 + files(number / 12) + (number % 4 == 0),  # a connection under way
            threads=12 + threads(number / 12),
        )
        for number in range(1, 361)
    ]


def faults(run: list[Look], *, code: int = ENDED, last_s: float = 1795.0) -> list[str]:
    return judge(run, code, [{"t_s": last_s}], warm_up_s=300, broken_every_s=10)


def test_a_steady_run_passes() -> None:
    assert faults(looks()) == []
    assert faults(looks(resident=lambda minutes: min(minutes, 4) * 20)) == []  # a warm-up that ends
    assert faults(looks(resident=lambda minutes: 0.09 * minutes)) == []
    assert growth_of(looks()).mib_per_10_minutes == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (looks(resident=lambda minutes: 0.11 * minutes), "resident memory grew by 1.1"),
        (looks(files=lambda minutes: int(minutes / 9)), "2 more files"),
        (looks(threads=lambda minutes: int(minutes > 25)), "1 more threads"),
        (looks()[:61], "only 2 looks"),
    ],
)
def test_what_grows_is_a_fault(run: list[Look], words: str) -> None:
    found = faults(run, last_s=run[-1].t_s)
    assert len(found) == 1
    assert words in found[0]


def test_a_run_that_ends_or_falls_silent_is_a_fault() -> None:
    assert "exit code 70" in faults(looks(), code=70)[0]
    assert "1500 s" in faults(looks(), last_s=1500.0)[0]
    assert judge(looks(), ENDED, [], warm_up_s=300, broken_every_s=10)


def test_a_look_counts_memory_files_and_threads(tmp_path: Path) -> None:
    before = look_at(os.getpid(), time.monotonic())
    let_go = threading.Event()
    thread = threading.Thread(target=let_go.wait)
    thread.start()
    with (tmp_path / "open").open("w"):
        during = look_at(os.getpid(), time.monotonic())
    let_go.set()
    thread.join()
    assert during.open_files >= before.open_files + 1
    assert during.threads >= before.threads + 1
    assert before.resident_mib > 10


def test_every_connection_of_the_stream_breaks_off() -> None:
    pictures = [encode(plain((level, 0, 0), 16, 16)) for level in (10, 200)]
    with breaking_stream(pictures, fps=200.0, break_after_s=0.02) as (address, connections):
        for count in (1, 2):
            connection = HTTPConnection(urlsplit(address).netloc)
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert "multipart/x-mixed-replace" in answer.headers["Content-Type"]
            body = answer.read()
            connection.close()
            assert sum(body.count(picture) for picture in pictures) == 4
            assert len(connections) == count
