"""Counts and rates: over the last seconds only, percentiles, and what the queues dropped."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.firmware_host.pipeline.stats import TIMES_KEPT, LiveStats, Rate


def test_rate_is_exact_at_an_even_pace() -> None:
    rate = Rate(over_s=2.0)
    assert rate.per_second(0.0) == 0.0
    rate.tick(0.0)
    assert rate.per_second(0.0) == 0.0  # one event has no rate
    for tick in range(1, 41):
        rate.tick(tick / 8)
        assert rate.per_second(tick / 8) == 8.0


@given(
    hertz=st.floats(0.2, 240), events=st.integers(3, 300), phase=st.floats(0, 1), start_s=st.floats(0, 1e6)
)
def test_rate_of_any_pace_is_exact_whenever_it_is_read(
    hertz: float, events: int, phase: float, start_s: float
) -> None:
    """Once a second reads 1.00, between two events too."""
    rate = Rate()
    for tick in range(events):
        rate.tick(start_s + tick / hertz)
    assert rate.per_second(start_s + (events - 1 + phase) / hertz) == pytest.approx(hertz, rel=1e-3)


def test_rate_follows_a_change_and_falls_while_nothing_comes() -> None:
    rate = Rate(over_s=2.0)
    for tick in range(9):
        rate.tick(tick / 8)
    falling = [rate.per_second(now_s) for now_s in (1.0, 1.2, 1.5, 2.0, 2.9)]
    assert falling[0] == 8.0
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 2.0
    assert rate.per_second(3.1) == 0.0
    for tick in range(4):
        rate.tick(10.0 + 2 * tick)
    assert rate.per_second(17.0) == 0.5  # every other second


def test_counts_and_percentiles() -> None:
    stats = LiveStats()
    empty = stats.counts(dropped_frames=0, dropped_clips=0, unwritten_frames=0)
    assert empty.latency_p50_ms is empty.latency_p95_ms is empty.infer_p50_ms is None
    for frame in range(101):
        stats.frame_came()
        stats.frame_analysed(face=frame % 2 == 0)
        stats.result_came(latency_ms=float(frame), infer_ms=frame / 2, pace=1.5 if frame < 7 else 1.2)
    counts = stats.counts(dropped_frames=3, dropped_clips=2, unwritten_frames=1)
    assert (counts.frames, counts.analysed, counts.with_face, counts.results) == (101, 101, 51, 101)
    assert (counts.slow_results, counts.pace) == (7, 1.5)
    assert (counts.dropped_frames, counts.dropped_clips, counts.unwritten_frames) == (3, 2, 1)
    assert (counts.latency_p50_ms, counts.latency_p95_ms, counts.infer_p50_ms) == (50.0, 95.0, 25.0)


def test_percentiles_are_of_the_last_results() -> None:
    stats = LiveStats()
    for result in range(3 * TIMES_KEPT):
        stats.result_came(latency_ms=float(result), infer_ms=1.0, pace=1.0)
    counts = stats.counts(dropped_frames=0, dropped_clips=0, unwritten_frames=0)
    assert counts.results == 3 * TIMES_KEPT
    assert counts.latency_p50_ms == pytest.approx(2.5 * TIMES_KEPT, abs=1)
    assert counts.latency_p95_ms == pytest.approx(2.95 * TIMES_KEPT, abs=1)


def test_nobody_waits_while_percentiles_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread counts a frame in the middle of the computation."""
    stats = LiveStats()
    stats.result_came(1.0, 1.0, 1.0)

    def percentile(*_: object) -> float:
        other = threading.Thread(target=stats.frame_came)
        other.start()
        other.join()
        return 7.0

    monkeypatch.setattr(np, "percentile", percentile)
    assert stats.counts(dropped_frames=0, dropped_clips=0, unwritten_frames=0).latency_p50_ms == 7.0


def test_times_begin_anew_when_they_are_forgotten() -> None:
    stats = LiveStats()
    stats.took("search", 5.0)
    stats.result_came(latency_ms=20.0, infer_ms=10.0, pace=1.0)
    assert {span for span, times in stats.times().items() if times.size} == {"search", "latency", "model"}
    stats.forget_times()
    assert not any(times.size for times in stats.times().values())
    stats.took("search", 7.0)
    assert stats.times()["search"].tolist() == [7.0]
