"""The whole way as it is typed, each verb on its defaults and most in a process of their own: a small demo.

The landmark weights are random and each stage goes once over the clips: enough for every file and figure to
be made, too little for any accuracy, which the demo itself shows.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import cv2
import pytest
from safetensors.torch import save_file

from s2d_edge.contracts.model_config import preset
from s2d_edge.contracts.provenance import read_provenance
from s2d_edge.core.console import Console
from s2d_edge.data.avatars.expression import EXPRESSIONS
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.verbs.report_text import show_report
from tests.models import CAUSAL
from tests.shared import Shared
from tests.verbs.command import run as run_here
from tests.verbs.command import s2d_edge


def _run(*arguments: str, cwd: Path) -> str:
    done = s2d_edge(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow(seconds=50)
def test_from_drawn_faces_to_an_annotated_video(
    face_video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _run("data", "avatars", "faces", "--clips-per-class", "5", cwd=tmp_path)
    save_file(MobileFaceNet(preset("demo").landmark).state_dict(), tmp_path / "landmark.safetensors")
    _run("train", "--data", "faces", "--landmark", "landmark.safetensors", "--epochs", "1", cwd=tmp_path)
    _run("export", "--target", "intel-cpu", cwd=tmp_path)
    _run("calibrate", "--data", "faces", "--subset", "7", "--max-drop", "inf", cwd=tmp_path)

    fp32, int8 = sorted((tmp_path / "bundles").iterdir())
    assert int8.name == f"{fp32.name}-int8"
    report = json.loads((int8 / "report.json").read_text())
    assert report["fp32"]["score"]["n"] == report["int8"]["score"]["n"] > 0
    assert math.isfinite(report["drop"]["war_pp"])

    score = json.loads(_run("evaluate", str(fp32), "--data", "faces", "--json", "-", cwd=tmp_path))
    assert score["war"] == report["fp32"]["score"]["war"]
    assert score["made_from"] == read_provenance(int8)
    assert score["made_from"]["init"]["name"] == "faces-demo-image"
    show_report(int8, open_page=False, json=None, console=Console())
    assert "trained on 'faces': " in " ".join(capsys.readouterr().err.split())

    timings = json.loads(
        _run("benchmark", "--against", "torch", "--rounds", "2", "--warmup", "1", "--json", "-", cwd=tmp_path)
    )
    assert len(timings["models"]) == 3
    assert all(model["p50_ms"] > 0 for model in timings["models"])

    shutil.copy(face_video, tmp_path)
    out = _run("run", "--source", "face.mp4", "--save", "seen.mp4", "--json", "-", cwd=tmp_path)
    results = [json.loads(line) for line in out.splitlines()]
    assert results
    for result in results:
        assert set(result["probabilities"]) == set(EXPRESSIONS)
        assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert result["dropped"] == 0
    assert _frames(tmp_path / "seen.mp4") == _frames(tmp_path / "face.mp4")

    (prediction,) = json.loads(_run("predict", str(int8), "face.mp4", "--json", "-", cwd=tmp_path))["results"]
    assert prediction["path"] == "face.mp4"
    assert prediction["label"] in EXPRESSIONS


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


def _frames(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count
