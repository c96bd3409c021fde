"""The README's Python and the tutorials are executed, in the order in which a reader types them."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from s2d_edge.contracts.provenance import read_provenance
from s2d_edge.core.console import Console
from s2d_edge.data.avatars.expression import EXPRESSIONS
from s2d_edge.verbs.main import app
from s2d_edge.verbs.report_text import show_report
from tests.docs.pages import ROOT, Block, blocks, pages
from tests.verbs.command import run, s2d_edge

TUTORIALS = ROOT / "docs" / "tutorials"


def _executed(block: Block) -> bool:
    return block.language == "python" or block.run


def _execute(page: Path, names: dict[str, object]) -> None:
    """Run a page's blocks in the working directory; Python blocks share ``names``."""
    for block in filter(_executed, blocks(page)):
        if block.language == "python":
            exec(compile(block.text, f"{block.page}:{block.line}", "exec"), names)  # noqa: S102
            continue
        for line in block.commands():
            program, *arguments = shlex.split(line)
            assert program == "s2d-edge", f"{block.page}:{block.line} runs {program}"
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, f"{block.page}:{block.line}: {line}\n{done.output}{done.exception!r}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader types; later pages use what earlier ones left."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def after_first(folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("S2D_EDGE_CACHE", str(folder / "cache"))
        _execute(TUTORIALS / "first-five-minutes.md", {})
    return folder


@pytest.fixture(scope="module")
def after_own_data(after_first: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(after_first)
        patch.setenv("S2D_EDGE_CACHE", str(after_first / "cache"))
        _execute(TUTORIALS / "your-own-data.md", {})
    return after_first


def test_every_block_marked_for_it_is_executed_here() -> None:
    marked = {page for page in pages() if any(_executed(block) for block in blocks(page))}
    assert marked == {ROOT / "README.md", *TUTORIALS.glob("*.md")}


@pytest.mark.slow(seconds=2)
def test_readme(
    face_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(face_video, "clip.mp4")
    video = cv2.VideoCapture("clip.mp4")
    frame = np.asarray(cv2.cvtColor(video.read()[1], cv2.COLOR_BGR2RGB), np.uint8)
    _execute(ROOT / "README.md", {"frame": frame})
    label, *results = capsys.readouterr().out.splitlines()
    assert len(results) > 20
    assert {line.split()[-1] for line in results} | {label} <= {
        "anger", "happiness", "neutral", "sadness", "surprise",
    }  # fmt: skip


@pytest.mark.slow(seconds=6)
def test_first_five_minutes(after_first: Path) -> None:
    results = [json.loads(line) for line in (after_first / "results.jsonl").read_text("utf-8").splitlines()]
    assert results
    assert (after_first / "seen.mp4").stat().st_size > 0


@pytest.mark.slow(seconds=20)
def test_your_own_data(after_own_data: Path) -> None:
    score = json.loads((after_own_data / "try.json").read_text("utf-8"))
    assert score["n"] == sum(each["support"] for each in score["per_class"].values()) > 0
    page = (ROOT / "docs/reference/results.md").read_text("utf-8")
    for key in score:
        assert f"`{key}`" in page
    assert (after_own_data / "balance.png").is_file()
    for bundle in ("try", "try-int8"):
        assert (after_own_data / "bundles" / bundle / "manifest.json").is_file()


@pytest.mark.slow(seconds=12)
def test_the_reader_goes_on_with_verbs_on_their_defaults(
    after_own_data: Path,
    face_video: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Results that the pages left agree with each other; ``run`` in a process of its own, as it is typed."""
    monkeypatch.chdir(after_own_data)
    int8 = after_own_data / "bundles/try-int8"
    report = json.loads((int8 / "report.json").read_text())
    score = json.loads((after_own_data / "try.json").read_text())
    assert report["fp32"]["score"]["n"] == report["int8"]["score"]["n"] == score["n"]
    assert report["fp32"]["score"]["war"] == score["war"]
    assert math.isfinite(report["drop"]["war_pp"])
    assert score["made_from"] == read_provenance(int8)
    assert score["made_from"]["init"]["name"] == "try-image"
    show_report(int8, open_page=False, json=None, console=Console())
    assert "'faces'" in capfd.readouterr().err

    assert run("benchmark", "--against", "torch", "--rounds", "2", "--warmup", "1", "--json", "-") == 0
    timings = json.loads(capfd.readouterr().out)
    assert len(timings["models"]) == 3
    assert all(model["p50_ms"] > 0 for model in timings["models"])

    shutil.copy(face_video, "face.mp4")
    done = s2d_edge(
        "run", "--source", "face.mp4", "--save", "face-seen.mp4", "--json", "-", cwd=after_own_data
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert results
    for result in results:
        assert set(result["probabilities"]) == set(EXPRESSIONS)
        assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert result["dropped"] == 0
    assert _frames(Path("face-seen.mp4")) == _frames(Path("face.mp4"))
    assert run("predict", int8, "face.mp4", "--json", "-") == 0
    (prediction,) = json.loads(capfd.readouterr().out)["results"]
    assert prediction["path"] == "face.mp4"
    assert prediction["label"] in EXPRESSIONS


def _frames(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


@pytest.mark.slow
@pytest.mark.parametrize("name", ["intel-npu", "jetson", "drop-report"])
def test_the_tutorials_before_the_device(
    name: str, after_own_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(after_own_data)
    _execute(TUTORIALS / f"{name}.md", {})


def test_figures_of_the_drop_report_are_those_of_the_starter() -> None:
    report = json.loads((ROOT / "s2d_edge/starter/intel-cpu/report.json").read_text("utf-8"))
    page = (TUTORIALS / "drop-report.md").read_text("utf-8")
    for figure in (report["fp32"]["score"]["war"], report["int8"]["score"]["uar"]):
        assert f"{figure:.2%}".replace("%", " %") in page
    assert f"{report['drop']['agreement']:.2%}".replace("%", " %") in page
    for group in report["findings"]["sensitivity"][:3]:
        assert f"`{group['name']}`" in page
