"""Training on a published dataset, by its own rules and by the papers'."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.contracts.runs import read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, MediaError
from s2d_edge.data.preparing import clips
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.train.command import train
from s2d_edge.train.plan import TrainOptions, plan_from_record
from s2d_edge.train.start import Start, resolve
from s2d_edge.train.supply import Supply, open_supply
from s2d_edge.verbs.predict import evaluate_model
from tests.data.reading.published.layouts import write_dfew, write_frames
from tests.pictures import SquareDetector
from tests.train.tiny import IMAGE, SIZE, VIDEO

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DFEW, clips of six frames, and beside it a cache that the tests share."""
    root = tmp_path_factory.mktemp("drawn")
    write_dfew(root / "DFEW", frames=6)
    return root


@pytest.fixture
def dfew(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The drawn dataset as ``--data`` has it, a working directory, and a tiny model of four frames."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(drawn / "cache"))
    monkeypatch.setitem(PRESETS, "demo", VIDEO)
    monkeypatch.setattr(clips, "FaceFinder", lambda *, static: SquareDetector())  # finds none, sooner
    return f"dfew/1:{drawn / 'DFEW'}"


def start(data: str, **more: Any) -> Start:
    return resolve(TrainOptions(data=data, changes=("workers=1",), **more), Path("runs"), QUIET)


def supply(started: Start) -> Supply:
    return open_supply(started.plan, started.dataset, CropRecipe(size=SIZE), QUIET)


def test_the_plan_knows_the_datasets_rate_and_where_it_lies(
    dfew: str, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = start(dfew).plan
    assert (plan.fps, plan.protocol) == (6.0, "default")
    assert start(dfew, fps=12.0).plan.fps == 12.0
    monkeypatch.chdir(drawn)
    asked = start("dfew/1:DFEW", protocol="paper", skip_unreadable=True).plan
    assert asked.data == dfew
    assert plan_from_record(json.loads(json.dumps(asked.as_record())), Path("run")) == asked


def test_by_default_test_clips_are_not_touched_and_clips_are_spread(
    dfew: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = supply(start(dfew))
    assert "it does not say who is seen" in " ".join(capsys.readouterr().err.split())
    assert len(given.train) + len(given.val) == 14
    train_clips = {f"{k + 1:05d}" for k in range(14)}
    assert {Path(name).name for name in (*given.train.names, *given.val.names)} == train_clips
    assert set(given.train.window_counts) == {1}
    assert given.train.faces_missed > 0, "faces are looked for"


def test_the_papers_take_consecutive_frames_as_they_are_and_choose_on_test(
    dfew: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = supply(start(dfew, protocol="paper"))
    assert "the best epoch is chosen on 'test'" in " ".join(capsys.readouterr().err.split())
    assert (len(given.train), len(given.val)) == (14, 7)
    assert {Path(name).name for name in given.val.names} == {f"{k + 21:05d}" for k in range(7)}
    assert set(given.train.window_counts) == {2}  # starts 0 and 1 of 6 frames, T 4: never the last
    assert set(given.val.window_counts) == {2}
    assert given.train.faces_missed == 0
    first = given.val.frames[given.val.windows[:2], 0, 0, 0]  # clip 21: levels 84, 85, …
    assert first.tolist() == [[84, 85, 86, 87], [86, 87, 88, 89]]


def test_the_papers_protocol_needs_a_published_dataset(tmp_path: Path, dfew: str) -> None:
    folder = tmp_path / "own"
    for k, label in enumerate(("a", "b")):
        write_frames(folder / "train" / label / "1", 1, first=k)
    with pytest.raises(ConfigError, match=r"--protocol paper is for the published datasets .*'own' is none"):
        start(str(folder), protocol="paper")
    with pytest.raises(ConfigError, match="--protocol 'papers' must be one of default, paper"):
        TrainOptions(protocol="papers")
    with pytest.raises(ConfigError, match="--protocol is for the image and video stages"):
        train(TrainOptions(stage="landmark", data=dfew, protocol="paper"), QUIET)


def test_a_run_by_the_papers_protocol_says_so_in_its_record_and_in_its_results(
    dfew: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    save_file(MobileFaceNet(IMAGE.landmark).state_dict(), tmp_path / "landmark.safetensors")
    asked: dict[str, Any] = {
        "data": dfew,
        "stage": "image",
        "landmark": tmp_path / "landmark.safetensors",
        "epochs": 1,
    }
    changes = ("workers=1", "image.batch_clips=7")
    (run,) = train(TrainOptions(**asked, changes=changes, protocol="paper"), QUIET)
    assert read_run(run).settings["protocol"] == "paper"
    assert read_run(run).labels[0] == "happy"
    capsys.readouterr()

    def evaluate(**more: Any) -> dict[str, Any]:
        return evaluate_model(run, data=dfew, split="test", device="cpu", seed=0, console=QUIET, **more)

    paper = evaluate(protocol="paper")
    told = " ".join(capsys.readouterr().err.split())
    assert (paper["protocol"], paper["selected_on"], paper["n"], paper["skipped"]) == ("paper", "test", 7, 0)
    assert "best epoch was chosen on 'test'" in told
    assert "no face" not in told
    assert evaluate()["protocol"] == "default"


def test_unreadable_clips_stop_or_are_skipped(
    dfew: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    root = Path(shutil.copytree(dfew.split(":")[1], tmp_path / "DFEW"))
    (root / "Clip/clip_224x224_16f/00009/3.png").write_bytes(b"")
    data = f"dfew/1:{root}"
    with pytest.raises(MediaError, match=r"00009/3\.png is empty"):
        supply(start(data, protocol="paper"))
    shutil.rmtree(root / "Clip/clip_224x224_16f/00022")
    given = supply(start(data, protocol="paper", skip_unreadable=True))
    assert (len(given.train), len(given.val)) == (13, 6)
    assert all("00009" not in name for name in given.train.names)
    told = " ".join(capsys.readouterr().err.split())
    assert "training clips: 1 of 14 are unreadable and skipped" in told
    assert "validation clips: 1 of 7 are unreadable and skipped" in told
