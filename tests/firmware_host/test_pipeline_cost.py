"""The bookkeeping of `benchmark --pipeline`: what is counted, whose it is, and what a failure says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.core.errors import ConfigError, S2DEdgeError
from s2d_edge.firmware_host.bench import pipeline as bench
from s2d_edge.firmware_host.bench.paced import PacedSource
from s2d_edge.firmware_host.bench.pipeline import LiveOptions
from s2d_edge.firmware_host.pipeline.pipeline import Pipeline
from s2d_edge.firmware_host.pipeline.stats import Span

FIRST = {"cold": 2.0, "warm": 1.0}


@pytest.mark.slow(seconds=4)
def test_counts_and_times_are_of_the_measured_time(
    bundle: Bundle, face_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "WARMUP_S", 0.5)
    forgotten: list[Pipeline] = []
    monkeypatch.setattr(Pipeline, "forget_times", lambda self: forgotten.append(self))
    options = LiveOptions(cameras=2, seconds=1, fps=20)
    cost = bench._run_cameras(bundle.path, "cpu", face_video, options, FIRST)
    assert cost.seconds >= 1
    assert len(set(forgotten)) == 2  # the warm-up of each camera is not measured
    assert len(cost.results_of) == 2
    assert sum(cost.results_of) == cost.results > 0
    assert 0 < cost.searched < cost.frames
    assert cost.size == (256, 256)
    assert cost.times_ms.keys() == set(get_args(Span))
    assert all((times >= 0).all() for times in cost.times_ms.values())
    assert cost.times_ms["model"].size == cost.times_ms["latency"].size >= cost.results
    assert set(cost.cpu_s) == {"decode", "search and crop", "model", "runtime", "main"}
    assert 0 < cost.cpu_s_per_minute <= 60 * 64
    assert cost.first_result_s == FIRST


def test_a_paced_source_delivers_what_is_due(face_video: Path) -> None:
    source = PacedSource(face_video, 100)
    frames = []
    for frame in source.frames():
        frames.append(frame)
        if len(frames) == 20:
            source.stop()
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    assert [frame.t_s for frame in frames] == pytest.approx([index / 100 for index in indices])
    assert frames[0].picture.shape == (256, 256, 3)


def test_a_run_without_a_result_is_an_error_with_its_words() -> None:
    ends = [sys.executable, "-c", "import sys; sys.exit('error: no such camera')"]
    with pytest.raises(S2DEdgeError, match=r"result: no such camera$"):
        bench._first_result_s(ends, {})
    assert bench._first_result_s([sys.executable, "-c", "print('{}')"], {}) > 0


@pytest.mark.parametrize("wrong", [{"fps": 0.0}, {"cameras": 0}, {"seconds": 0.0}, {"fps": float("nan")}])
def test_options_check_themselves(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"--{next(iter(wrong))}"):
        LiveOptions(**wrong)  # type: ignore[arg-type]
