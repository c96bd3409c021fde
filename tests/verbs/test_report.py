"""``report`` and ``compare`` on real bundles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from s2d_edge.api.opening import choose_model
from s2d_edge.api.stages import calibrate
from s2d_edge.contracts.bundle import MANIFEST, Bundle, open_bundle, read_manifest, seal
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, S2DEdgeError
from s2d_edge.core.processor import processor
from s2d_edge.firmware_host.bundles import find_bundle, find_bundles_to_run, find_precision
from s2d_edge.verbs.compare_bundles import compare_bundles
from s2d_edge.verbs.report_text import show_report
from tests.colours import write_colours
from tests.firmware_host.graphs import make_bundle

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``bundles/colours``, and ``bundles/colours-int8`` made of it."""
    root = tmp_path_factory.mktemp("work")
    data = write_colours(write_colours(root / "data", "train", 2), "test", 3, wrong=1)
    fp32 = make_bundle(root / "bundles" / "colours")
    out = root / "bundles" / "colours-int8"
    calibrate(fp32.path, data=str(data), subset=6, out=out, sensitivity=1, console=QUIET)
    return root


def shown_by_report(
    path: Path | None, capfd: pytest.CaptureFixture[str], **changes: object
) -> tuple[str, str]:
    arguments: dict[str, object] = {"open_page": False, "json": None, "console": Console()} | changes
    show_report(path, **arguments)  # type: ignore[arg-type]
    printed = capfd.readouterr()
    return printed.out, " ".join(printed.err.split())


def test_report_shows_the_figures_and_where_the_page_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    out, err = shown_by_report(None, capfd, json="-")
    assert json.loads(out) == json.loads((folder / "bundles/colours-int8/report.json").read_text())
    for shown in ("66.67 %", "not measured", "bundles/colours-int8/report.html"):
        assert shown in err
    assert json.loads(out)["findings"]["sensitivity"][0]["name"] in err
    files = open_bundle(folder / "bundles/colours-int8").manifest.files
    assert {"report.json", "report.md", "report.html", "report-clips.csv"} <= set(files)


def test_report_opens_the_page_where_there_is_a_display(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = folder / "bundles/colours-int8"
    opened: list[str] = []

    def browser(uri: str) -> bool:
        opened.append(uri)
        return True

    monkeypatch.setattr(webbrowser, "open", browser)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(S2DEdgeError, match=r"report\.html"):
        shown_by_report(bundle, capfd, open_page=True)
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    shown_by_report(bundle, capfd, open_page=True)
    assert opened == [(bundle / "report.html").as_uri()]


def test_bundles_without_a_report(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BundleError, match="s2d-edge calibrate"):
        shown_by_report(folder / "bundles/colours", capfd)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match="bundles/"):
        shown_by_report(None, capfd)
    old = _copy_without(folder / "bundles/colours-int8", tmp_path / "old", "report.html")
    _, err = shown_by_report(old, capfd)
    assert "report.html" in err
    with pytest.raises(BundleError, match=r"report\.html"):
        shown_by_report(old, capfd, open_page=True)
    bare = _copy_without(old, tmp_path / "bare", "report.json")
    with pytest.raises(BundleError, match=r"report\.json"):
        shown_by_report(bare, capfd)
    (old / "report.json").write_text("{}")
    with pytest.raises(BundleError, match=r"report\.json"):
        shown_by_report(old, capfd)


def _copy_without(bundle: Path, to: Path, left_out: str) -> Path:
    to.mkdir()
    for file in bundle.iterdir():
        if file.name != left_out:
            (to / file.name).write_bytes(file.read_bytes())
    seal(to, open_bundle(bundle).manifest)
    return to


def test_compare_puts_a_pair_side_by_side(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    out = folder / "table.csv"
    result = compare_bundles([], measure_rounds=None, device="auto", out=out, console=Console())
    fp32, int8 = result["bundles"]
    assert (fp32["bundle"], fp32["precision"], fp32["drop_war_pp"]) == ("colours", "fp32", None)
    assert (int8["bundle"], int8["precision"], int8["drop_war_pp"]) == ("colours-int8", "int8", 0)
    assert fp32["war"] == int8["war"] == pytest.approx(2 / 3)  # FP32's, from the report of its INT8 bundle
    assert fp32["report"] == int8["report"] == "colours-int8"
    assert fp32["p50_ms"] > 0
    shown = " ".join(capfd.readouterr().err.split())
    assert "a: 9 clips of data/test" in shown
    assert "warning" not in shown
    head, *rows = out.read_text().splitlines()
    assert head.startswith("bundle,target,precision,mode,WAR %")
    assert [row.split(",")[0] for row in rows] == ["colours", "colours-int8"]


def test_compare_marks_bundles_that_were_measured_on_other_clips(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = write_colours(write_colours(tmp_path / "data", "train", 2, seed=1), "test", 4, seed=1)
    other, _ = calibrate(
        folder / "bundles/colours",
        data=str(data),
        out=tmp_path / "other-int8",
        sensitivity=0,
        console=QUIET,
    )
    alone = make_bundle(tmp_path / "alone", source_run="zebra").path
    paths, out = [folder / "bundles/colours-int8", other, alone], tmp_path / "table.md"
    result = compare_bundles(paths, measure_rounds=None, device="auto", out=out, console=Console())
    printed = " ".join(capfd.readouterr().err.split())
    assert "warning: " in printed
    assert "a: 9 clips of data/test" in printed
    assert "b: 12 clips of data/test" in printed
    assert result["bundles"][2]["war"] is None
    assert "–: not measured" in printed
    assert out.read_text().count("\n| ") == 4


def _train_again(bundle: Path) -> None:
    """Give a bundle other weights of the same size, and seal it under the same name."""
    weights = np.frombuffer((bundle / "model.bin").read_bytes(), np.uint8)
    (bundle / "model.bin").write_bytes((weights ^ 1).tobytes())
    seal(bundle, read_manifest(bundle))


def test_a_model_trained_again_under_the_same_name_has_no_accuracy_of_the_one_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "bundles", tmp_path / "bundles")
    _train_again(tmp_path / "bundles" / "colours")
    monkeypatch.chdir(tmp_path)
    result = compare_bundles([], measure_rounds=None, device="auto", out=None, console=Console())
    fp32, int8 = result["bundles"]
    assert (fp32["bundle"], fp32["war"], fp32["report"]) == ("colours", None, None)
    assert int8["war"] == pytest.approx(2 / 3)
    # A report that was left beside another INT8 graph is no report of it either.
    other = tmp_path / "bundles" / "colours-int8"
    _train_again(other)
    result = compare_bundles([], measure_rounds=None, device="auto", out=None, console=Console())
    assert [row["war"] for row in result["bundles"]] == [None, None]
    assert "colours-int8/report.json" in capfd.readouterr().err
    with pytest.raises(BundleError, match=r"report\.json"):
        show_report(other, open_page=False, json=None, console=QUIET)


def test_figures_of_reports_that_name_no_graph_are_told_of_their_own_bundle_only(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "bundles", tmp_path / "bundles")
    old = tmp_path / "bundles" / "colours-int8"
    payload = json.loads((old / "report.json").read_text()) | {"format_version": 3}
    for side in ("fp32", "int8"):
        del payload[side]["graph_sha256"]
    (old / "report.json").write_text(json.dumps(payload))
    seal(old, read_manifest(old))
    paths = [tmp_path / "bundles" / "colours", old]
    result = compare_bundles(paths, measure_rounds=None, device="auto", out=None, console=QUIET)
    assert [row["war"] for row in result["bundles"]] == [None, pytest.approx(2 / 3)]


@pytest.mark.parametrize("damage", ["margin", "report", "graph"])
def test_one_bad_neighbour_is_skipped_and_named_by_every_verb_that_chooses(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    shutil.copytree(folder / "bundles", tmp_path / "bundles")
    bad = tmp_path / "bundles" / "bad-int8"
    shutil.copytree(folder / "bundles/colours-int8", bad)
    if damage == "margin":
        content = json.loads((bad / MANIFEST).read_text())
        content["crop"]["margin"] = 50
        (bad / MANIFEST).write_text(json.dumps(content))
    else:
        file = bad / ("report.json" if damage == "report" else "model.bin")
        file.write_bytes(file.read_bytes()[:-20])
    os.utime(bad / MANIFEST, (2e9, 2e9))  # the newest
    monkeypatch.chdir(tmp_path)
    result = compare_bundles([], measure_rounds=None, device="auto", out=None, console=Console())
    assert [row["bundle"] for row in result["bundles"]] == ["colours", "colours-int8"]
    assert "bundles/bad-int8" in capfd.readouterr().err
    show_report(None, open_page=False, json=None, console=Console())
    assert "bundles/bad-int8" in capfd.readouterr().err
    choices: tuple[Callable[[], Path], ...] = (
        lambda: cast(Bundle, choose_model(None, "auto", Console())).path,
        lambda: find_bundle(None, "auto", Console()).path,
        lambda: find_precision(None, "int8", Console()).path,
    )
    for choose in choices:
        assert choose().name == "colours-int8"
        assert "bundles/bad-int8" in capfd.readouterr().err
    assert find_bundles_to_run([], "auto", Console())
    assert "bundles/bad-int8" in capfd.readouterr().err


def test_compare_can_time_the_bundles_now(folder: Path) -> None:
    paths = [folder / "bundles/colours-int8"]
    result = compare_bundles(paths, measure_rounds=2, device="cpu", out=None, console=QUIET)
    assert result["measured_now"] is True
    assert result["bundles"][0]["p50_ms"] > 0
    assert result["bundles"][0]["timed_on"] == processor()


def test_nothing_to_compare_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match="bundles/"):
        compare_bundles([], measure_rounds=None, device="auto", out=None, console=QUIET)


def test_reports_are_read_without_the_packages_that_made_them(folder: Path) -> None:
    """On a device there is no torch, no ONNX, no NNCF, and no matplotlib."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'onnx', 'nncf', 'matplotlib']));"
        "from s2d_edge.verbs.main import app;"
        "[app([verb, sys.argv[1]], standalone_mode=False) for verb in ('report', 'compare')]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "bundles/colours-int8")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "66.67 %" in done.stderr
    assert "from each bundle's calibration" in done.stderr
