"""``calibrate`` from an FP32 bundle to an INT8 bundle with its report, on real graphs and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import s2d_edge
from s2d_edge.calibrate.clips.choice import ClipChoice
from s2d_edge.calibrate.command import calibrate_bundle
from s2d_edge.calibrate.report.records import DropReport
from s2d_edge.calibrate.report.report_file import read_report
from s2d_edge.calibrate.search.gate import GateLimits
from s2d_edge.contracts.bundle import FORMAT_VERSION, Bundle, open_bundle
from s2d_edge.core.console import Console
from s2d_edge.core.errors import (
    BundleError,
    ConfigError,
    DataError,
    MediaError,
    S2DEdgeError,
    TooLargeDropError,
)
from s2d_edge.data.preparing.clips import clip_sha256
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.selftest.selftest import self_test
from tests.colours import write_colours
from tests.firmware_host.graphs import make_bundle

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

QUIET = Console(quiet=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """12 calibration pictures, 9 for the gate, and 15 to evaluate on, of which 3 are mislabelled."""
    write_colours(tmp_path / "data", "train", 4)
    write_colours(tmp_path / "data", "val", 3)
    return write_colours(tmp_path / "data", "test", 5, wrong=1)


@pytest.fixture
def fp32(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "colours")


def calibrate(fp32: Bundle, data: Path, console: Console = QUIET, **changes: Any) -> tuple[Path, DropReport]:
    out = fp32.path.parent / "int8"
    options: dict[str, Any] = {"bundle": fp32.path, "data": str(data), "subset": 9, "out": out}
    return s2d_edge.calibrate(**(options | changes), console=console)


def test_int8_bundle_records_its_calibration_and_its_accuracy(
    fp32: Bundle, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, report = calibrate(fp32, data, Console(), json="-")
    printed = capfd.readouterr()
    bundle = open_bundle(out)  # every hash holds
    manifest = bundle.manifest
    assert (manifest.name, manifest.precision, manifest.target) == ("int8", "int8", "intel-cpu")
    assert manifest.execution == fp32.manifest.execution
    assert (manifest.inputs, manifest.labels) == (fp32.manifest.inputs, fp32.manifest.labels)
    assert "nncf" in manifest.tools

    calibration = manifest.calibration
    assert calibration is not None
    assert len(calibration.clips) == 9
    assert {clip.path.split("/")[1] for clip in calibration.clips} == {"red", "green", "blue"}
    assert all(clip_sha256(data / clip.path) == clip.sha256 for clip in calibration.clips)
    assert calibration.int8_mac_fraction == 1
    assert calibration.source_sha256 == fp32.graph_sha256
    assert calibration.recipe["preset"] == "mixed"
    assert calibration.recipe["int8_landmark"] == "none"  # as little as is affordable: this graph has none

    accuracy = manifest.accuracy
    assert accuracy is not None
    assert (accuracy.n, accuracy.fp32_war, accuracy.int8_war) == (15, 0.8, 0.8)
    assert accuracy.agreement == 1
    assert "OpenVINO" in accuracy.device

    payload = json.loads(printed.out)  # alone on stdout, NNCF included
    assert payload == json.loads((out / "report.json").read_text())
    assert payload["fp32"]["graph_sha256"] == fp32.graph_sha256
    assert payload["int8"]["graph_sha256"] == bundle.graph_sha256 != fp32.graph_sha256
    assert payload["fp32"]["score"]["confusion"] == [[4, 1, 0], [0, 4, 1], [1, 0, 4]]
    assert "80.00 %" in printed.err
    assert "no face was found in 15 of 15 frames" in " ".join(printed.err.split())
    assert "80.00 %" in (out / "report.md").read_text()
    assert report.drop.war_pp == 0
    assert report.gate is not None
    assert (report.gate.n, report.gate.split, report.gate.carved_from) == (9, "val", None)
    assert [(one.step, one.passed) for one in report.gate.trials] == [("the target's recipe", True)]
    assert payload["gate"]["granularity_pp"] == pytest.approx(100 / 9)
    with open_engine(bundle) as engine:
        assert "INT8" in engine.description
        assert self_test(bundle, engine).passed
    assert manifest.format_version == FORMAT_VERSION  # whatever the FP32 bundle's was


@pytest.mark.slow(seconds=3)
def test_too_large_drop_leaves_no_bundle_and_still_reports(fp32: Bundle, data: Path) -> None:
    report = fp32.path.parent / "report.json"
    before = sorted(fp32.path.parent.iterdir())
    choice = ClipChoice(
        data=str(data),
        split="train",
        eval_split="test",
        val_split=None,
        subset=9,
        seed=0,
        skip_unreadable=False,
        is_gated=True,
    )
    with pytest.raises(TooLargeDropError, match=str(fp32.path.parent / "int8")) as caught:
        calibrate_bundle(
            fp32.path,
            choice,
            GateLimits(max_drop_pp=-1.0, min_agreement=0.97),  # which nothing passes
            tuner=None,
            sensitivity=None,
            device="auto",
            out=fp32.path.parent / "int8",
            json=str(report),
            console=QUIET,
        )
    assert (caught.value.war_drop_pp, caught.value.uar_drop_pp, caught.value.agreement) == (0, 0, 1)
    rejection = json.loads(report.read_text())
    assert rejection["passed"] is False
    assert "int8" not in rejection  # the test split was not touched
    steps = [trial["step"] for trial in rejection["gate"]["trials"]]
    assert steps[:3] == ["the target's recipe", "ranges", "ranges"]
    assert steps[-2:] == ["NNCF accuracy control", "quantization-aware fine-tuning"]
    report.unlink()
    assert sorted(fp32.path.parent.iterdir()) == before  # nothing hidden either


def test_one_split_for_two_purposes_is_rejected(fp32: Bundle, data: Path) -> None:
    with pytest.raises(ConfigError, match="--split and --eval-split"):
        calibrate(fp32, data, split="test")


def test_data_errors_come_before_anything_is_written(fp32: Bundle, data: Path) -> None:
    before = sorted(fp32.path.parent.iterdir())
    with pytest.raises(DataError, match="'holdout'"):
        calibrate(fp32, data, split="holdout")
    with pytest.raises(DataError, match="'decide'"):
        calibrate(fp32, data, val_split="decide")
    with pytest.raises(DataError, match="'rest'"):
        calibrate(fp32, data, eval_split="rest")
    (data / "test" / "red" / "0.png").write_bytes((data / "train" / "red" / "0.png").read_bytes())
    with pytest.raises(DataError, match=r"evaluation .*test/red/0\.png.* train/red/0\.png"):
        calibrate(fp32, data, subset=12)
    (data / "test" / "red" / "0.png").write_bytes((data / "val" / "red" / "0.png").read_bytes())
    with pytest.raises(DataError, match=r"evaluation .*test/red/0\.png.* val/red/0\.png"):
        calibrate(fp32, data)
    (data / "val" / "red" / "1.png").write_bytes((data / "train" / "red" / "0.png").read_bytes())
    with pytest.raises(DataError, match=r"validation .*val/red/1\.png.* train/red/0\.png"):
        calibrate(fp32, data, subset=12)
    (data / "test" / "Red").mkdir()
    (data / "test" / "red" / "1.png").rename(data / "test" / "Red" / "1.png")
    with pytest.raises(DataError, match="'Red'"):
        calibrate(fp32, data)
    assert sorted(fp32.path.parent.iterdir()) == before


def test_damaged_and_missing_bundles_are_rejected(
    fp32: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = fp32.path / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(
        text.replace('"red"', '"crimson"').replace('"format_version": 1', '"format_version": 9')
    )
    with pytest.raises(BundleError, match="format_version 9"):
        calibrate(fp32, data)
    manifest.write_text(text)
    (fp32.path / "model.bin").write_bytes(b"\0" * 36)
    with pytest.raises(BundleError, match=r"model\.bin"):
        calibrate(fp32, data)
    monkeypatch.chdir(data)
    with pytest.raises(BundleError, match="bundles/"):
        calibrate(fp32, data, bundle=None)


def test_output_that_exists_is_not_overwritten(fp32: Bundle, data: Path) -> None:
    with pytest.raises(S2DEdgeError, match=str(fp32.path)):
        calibrate(fp32, data, out=fp32.path)


def test_unreadable_clips_stop_the_calibration_or_are_skipped_and_counted(fp32: Bundle, data: Path) -> None:
    (data / "train/red/0.png").write_bytes(b"")
    (data / "test/red/1.png").write_bytes(b"")
    with pytest.raises(MediaError, match=r"red/0\.png"):
        calibrate(fp32, data, subset=12)
    out, report = calibrate(fp32, data, subset=12, skip_unreadable=True)
    calibration = open_bundle(out).manifest.calibration
    assert calibration is not None
    assert len(calibration.clips) == 11
    assert "train/red/0.png" not in {clip.path for clip in calibration.clips}
    assert (report.skipped, report.fp32.score["n"]) == (1, 14)
    assert json.loads((out / "report.json").read_text())["skipped"] == 1


@pytest.mark.slow(seconds=2)
def test_a_speed_that_is_asked_for_is_a_condition(fp32: Bundle, data: Path) -> None:
    report = fp32.path.parent / "report.json"
    with pytest.raises(TooLargeDropError, match="--min-speedup") as caught:
        calibrate(fp32, data, min_speedup=1e6, json=str(report))
    assert caught.value.speedup < 1e6
    trials = json.loads(report.read_text())["gate"]["trials"]
    assert [(trial["too_slow"], trial["passed"]) for trial in trials] == [
        (True, False)
    ]  # others would be no faster
    assert not (fp32.path.parent / "int8").exists()
    with pytest.raises(OSError, match="/dev/full"):  # the last that is written, and it takes nothing with it
        calibrate(fp32, data, min_speedup=1e-6, max_drop_pp=float("inf"), sensitivity=0, json="/dev/full")
    written = json.loads((open_bundle(fp32.path.parent / "int8").path / "report.json").read_text())
    assert written["gate"]["min_speedup"] == 1e-6
    assert written["passed"] is True, "time is measured on any number of clips"


@pytest.mark.slow(seconds=2)
def test_a_few_clips_decide_nothing_and_the_verdict_says_so(
    fp32: Bundle, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_colours(data, "few", 2)
    out, report = calibrate(fp32, data, Console(), val_split="few", sensitivity=0)
    assert report.gate is not None
    assert report.gate.n < report.gate.clips_needed
    written = json.loads((out / "report.json").read_text())
    assert written["passed"] is None
    assert written["gate"]["is_decisive"] is False
    said = " ".join(capfd.readouterr().err.split())
    for text in (said, (out / "report.md").read_text(), (out / "report.html").read_text()):
        assert f"{report.gate.clips_needed}" in text
    _, verdict, _ = read_report(out)
    assert verdict.passed is None
