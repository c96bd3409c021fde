"""A run's way from export to results, as it is typed, each verb on its defaults."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.models import CAUSAL
from tests.shared import Shared
from tests.verbs.command import run as run_here


@pytest.mark.slow(seconds=8)
def test_a_stream_bundle_is_used_as_a_window_bundle_is(
    shared: Shared,
    face_video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def run(*words: str) -> str:
        assert run_here(*words) == 0
        return capfd.readouterr().out

    monkeypatch.chdir(tmp_path)
    window = shared.exported("intel-cpu", "window", CAUSAL).path
    shutil.copytree(window, "bundles/run-intel-cpu")
    shutil.copytree(window.parent / "run", "runs/run")
    run("export", "--target", "intel-cpu", "--mode", "stream")
    stream = "bundles/run-intel-cpu-stream"
    timed = run("benchmark", "--against", "torch", "--rounds", "2", "--warmup", "1", "--json", "-")
    models = {model["name"]: model for model in json.loads(timed)["models"]}
    assert models["run-intel-cpu"]["answers"] == "clip"
    assert models["run-intel-cpu"]["state_bytes"] == 0
    assert models["run-intel-cpu-stream"]["answers"] == "frame"
    assert models["run-intel-cpu-stream"]["state_bytes"] > 0
    for model in models.values():  # four samples in a second of video
        assert model["ms_per_video_second"] == pytest.approx(4 * model["p50_ms"])

    out = run("run", "--bundle", stream, "--source", str(face_video), "--json", "-")
    results = [json.loads(line) for line in out.splitlines()]
    assert len(results) == pytest.approx(7 * 4, abs=2)  # one for every sample at 4 per second
    warming = [result.get("warming", False) for result in results]
    assert warming == [k < CAUSAL.frames - 1 for k in range(len(results))]
    again = run("run", "--bundle", stream, "--source", str(face_video), "--stride", "3", "--json", "-")
    every_third = [json.loads(line) for line in again.splitlines()]
    assert [one["t_s"] for one in every_third] == [one["t_s"] for one in results[::3]]
    for one, same in zip(every_third, results[::3], strict=True):
        assert one["logits"] == pytest.approx(same["logits"], abs=1e-4)
