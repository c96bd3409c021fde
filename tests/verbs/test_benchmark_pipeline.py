"""`benchmark --pipeline` as a table, as JSON and as a picture; options that do not fit are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from s2d_edge.firmware_host.bench.pipeline import LiveCost
from s2d_edge.firmware_host.pipeline.stats import Span
from s2d_edge.verbs import benchmark_pipeline
from tests.verbs.command import run

COST = LiveCost(
    engine="an engine",
    size=(512, 512),
    seconds=30.0,
    cpu_s={"decode": 1.0, "search and crop": 2.0, "model": 3.0, "runtime": 0.5, "main": 0.0},
    times_ms={
        span: np.arange(1 + number, 102 + number if span != "outputs" else 0, dtype=np.float32)
        for number, span in enumerate(get_args(Span))
    },
    frames=750,
    searched=120,
    results=120,
    dropped=0,
    results_of=(120,),
    peak_memory_bytes=300 << 20,
    first_result_s={"cold": 2.5, "warm": 1.5},
)


def test_figures_are_shown_written_and_drawn(
    tmp_path: Path, face_video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark_pipeline, "measure_live", lambda *args: COST)
    out, plot = tmp_path / "cost.json", tmp_path / "cost.svg"
    words = ("--source", str(face_video), "--json", str(out), "--plot", str(plot))
    assert run("benchmark", "--pipeline", "starter", *words) == 0
    told = json.loads(out.read_text())
    assert told["cpu_s_per_minute"] == pytest.approx(13.0)
    assert told["cpu_s_per_minute_of"]["model"] == pytest.approx(6.0)
    assert told["ms"]["latency"] == {"p50": 51.0, "p95": 96.0, "p99": 100.0}
    assert told["ms"]["outputs"] is None
    assert "search and crop" in plot.read_text("utf-8")
    assert "51.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--pipeline", "--profile"], "--profile"),
        (["--pipeline", "one", "two"], "2 were"),
        (["--plot", "x.png"], "--plot"),
        (["--pipeline", "starter", "--plot", "x.txt"], "x.txt"),
        (["--pipeline", "starter", "--search", "some"], "some"),
        (["--pipeline", "starter", "--source", "nowhere.mp4"], "nowhere.mp4"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("benchmark", *words) == 1
    assert named in capsys.readouterr().err
