"""Counts and rates: over the last seconds only, percentiles, and what the queues dropped."""

from __future__ import annotations

import pytest

from s2d_edge.firmware_host.pipeline.stats import LiveStats, Rate


def test_rate_is_exact_at_an_even_pace() -> None:
    rate = Rate(over_s=2.0)
    assert rate.per_second(0.0) == 0.0
    rate.tick(0.0)
    assert rate.per_second(0.0) == 0.0  # one event has no rate
    for tick in range(1, 41):
        rate.tick(tick / 8)
        assert rate.per_second(tick / 8) == 8.0


def test_rate_falls_while_nothing_comes_and_forgets() -> None:
    rate = Rate(over_s=2.0)
    for tick in range(9):
        rate.tick(tick / 8)
    assert rate.per_second(2.0) == 4.0  # eight intervals in two seconds
    assert rate.per_second(2.5) == pytest.approx(4 / 2)  # those of the last two seconds: from 0.5 on
    assert rate.per_second(10.0) == 0.0


def test_counts_and_percentiles() -> None:
    stats = LiveStats()
    empty = stats.counts(dropped_frames=0, dropped_clips=0, unwritten_frames=0)
    assert empty.latency_p50_ms is empty.latency_p95_ms is empty.infer_p50_ms is None
    for frame in range(101):
        stats.frame_came()
        stats.frame_analysed(face=frame % 2 == 0)
        stats.result_came(latency_ms=float(frame), infer_ms=frame / 2)
    counts = stats.counts(dropped_frames=3, dropped_clips=2, unwritten_frames=1)
    assert (counts.frames, counts.analysed, counts.with_face, counts.results) == (101, 101, 51, 101)
    assert (counts.dropped_frames, counts.dropped_clips, counts.unwritten_frames) == (3, 2, 1)
    assert (counts.latency_p50_ms, counts.latency_p95_ms, counts.infer_p50_ms) == (50.0, 95.0, 25.0)
