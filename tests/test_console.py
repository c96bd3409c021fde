"""What people are told while long work goes on."""

from __future__ import annotations

import pytest

from s2d_edge.console import Console


def test_long_work_tells_a_file_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr("s2d_edge.console.time.monotonic", lambda: now)
    with Console().progress("animating stills", 4000) as advance:
        for _ in range(3):
            now += 59
            advance(500)
    with Console().progress("reading", None) as advance:
        now += 600
        advance(7)
    told = capsys.readouterr().err.splitlines()
    # Of 177 seconds for 1,500 steps, the third call is the first after two minutes.
    assert told == ["animating stills: 1,500 of 4,000, some 5 min left", "reading: 7"]


def test_short_work_and_quiet_work_tell_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr("s2d_edge.console.time.monotonic", lambda: now)
    with Console().progress("reading", 2) as advance:
        advance(2)
    with Console(quiet=True).progress("animating stills", 4000) as advance:
        now += 600
        advance(500)
    assert capsys.readouterr().err == ""
