"""Progress of long work in a file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from s2d_edge.core.console import Console

Wait = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Advance the clock by seconds."""
    now = 1000.0

    def advance(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("s2d_edge.core.console.time.monotonic", lambda: now)
    return advance


def test_long_work_reports_its_progress_to_a_file(wait: Wait, capsys: pytest.CaptureFixture[str]) -> None:
    with Console().progress("animating stills", 4000) as advance:
        for _ in range(3):
            wait(59)
            advance(500)
    with Console().progress("reading", None) as advance:
        wait(600)
        advance(7)
    written = capsys.readouterr().err.splitlines()
    # Of 177 seconds for 1,500 steps, the third call is the first after two minutes.
    assert written == ["animating stills: 1,500 of 4,000, some 5 min left", "reading: 7"]


def test_time_left_is_estimated_from_the_latest_pace(wait: Wait, capsys: pytest.CaptureFixture[str]) -> None:
    with Console().progress("image epoch 2/16", 1000, done=600) as advance:
        wait(120)
        advance(100)
        wait(240)
        advance(50)
    written = capsys.readouterr().err.splitlines()
    assert written == [
        "image epoch 2/16: 700 of 1,000, some 6 min left",
        "image epoch 2/16: 750 of 1,000, some 20 min left",
    ]


def test_short_work_and_quiet_work_report_nothing(wait: Wait, capsys: pytest.CaptureFixture[str]) -> None:
    with Console().progress("reading", 2) as advance:
        advance(2)
    with Console(quiet=True).progress("animating stills", 4000) as advance:
        wait(600)
        advance(500)
    assert capsys.readouterr().err == ""
