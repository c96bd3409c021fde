"""Training on a published dataset, by its own rules and by the papers'."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from s2d_edge import evaluate
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.contracts.runs import read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, MediaError
from s2d_edge.data.preparing import clips
from s2d_edge.data.preparing.prepare import PreparedClips
from s2d_edge.data.reading.joined import open_sets
from s2d_edge.data.reading.open import absolute_data, open_dataset
from s2d_edge.train.command import train
from s2d_edge.train.plan.plan import STAGES, Plan, plan_from_record
from s2d_edge.train.plan.settings import TrainSettings
from s2d_edge.train.plan.start import usual_fps
from s2d_edge.train.supply.supply import prepare_clips
from tests.data.reading.published.layouts import write_dfew, write_frames
from tests.pictures import SquareDetector
from tests.train.plans import make_plan
from tests.train.tiny import SIZE, VIDEO, alone, write_landmark

# Slow together, for what they share.
pytestmark = [pytest.mark.slow(seconds=1), pytest.mark.usefixtures("undrawn")]

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
    monkeypatch.setattr(clips, "FaceFinder", lambda **_: SquareDetector())  # finds none, sooner
    return f"dfew/1:{drawn / 'DFEW'}"


def plan(data: str, **more: Any) -> Plan:
    """The plan of a training of the tiny model on ``data``."""
    usual: dict[str, Any] = {"fps": 6.0, "settings": TrainSettings(workers=1)}
    return make_plan(data=(absolute_data(data),), stages=STAGES, frames=VIDEO.frames, **usual | more)


def prepared(planned: Plan) -> tuple[PreparedClips, PreparedClips]:
    """Its training and validation clips."""
    dataset = open_sets(planned.data, QUIET, missing_ok=planned.skip_unreadable)
    supplied = prepare_clips(planned, dataset, CropRecipe(size=SIZE), alone())
    return supplied.train, supplied.val


def test_a_published_dataset_has_its_own_rate(dfew: str) -> None:
    assert usual_fps(open_dataset(dfew, QUIET), None) == 6.0


def test_a_plan_names_the_dataset_by_an_absolute_path(
    dfew: str, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(drawn)
    relative = plan("dfew/1:DFEW", protocol="paper", skip_unreadable=True)
    assert relative.data[0] == dfew
    assert plan_from_record(json.loads(json.dumps(relative.as_record())), Path("run")) == relative


def test_by_default_test_clips_are_not_touched_and_clips_are_spread(
    dfew: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train_clips, val_clips = prepared(plan(dfew))
    assert "of unknown subjects" in " ".join(capsys.readouterr().err.split())
    assert len(train_clips) + len(val_clips) == 14
    known = {f"{k + 1:05d}" for k in range(14)}
    assert {Path(name).name for name in (*train_clips.names, *val_clips.names)} == known
    assert set(train_clips.window_counts) == {1}
    assert train_clips.faces_missed > 0, "faces are looked for"


def test_runs_of_before_resume_with_the_validation_clips_they_began_with(dfew: str) -> None:
    record = plan(dfew).as_record()
    assert len(prepared(plan_from_record(record, Path("run")))[1]) == 7, "one clip of each class"
    del record["carving"]  # as older versions wrote it
    _, val_clips = prepared(plan_from_record(record, Path("run")))
    assert [Path(name).name for name in val_clips.names] == ["00012"]


def test_the_papers_take_consecutive_frames_as_they_are_and_choose_on_test(
    dfew: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train_clips, val_clips = prepared(plan(dfew, protocol="paper"))
    assert "'test'" in " ".join(capsys.readouterr().err.split())
    assert (len(train_clips), len(val_clips)) == (14, 7)
    assert {Path(name).name for name in val_clips.names} == {f"{k + 21:05d}" for k in range(7)}
    assert set(train_clips.window_counts) == {2}  # starts 0 and 1 of 6 frames, T 4: never the last
    assert set(val_clips.window_counts) == {2}
    assert train_clips.faces_missed == 0
    first = val_clips.frames[val_clips.windows[:2], 0, 0, 0]  # clip 21: levels 84, 85, …
    assert first.tolist() == [[84, 85, 86, 87], [86, 87, 88, 89]]


def test_the_papers_protocol_needs_a_published_dataset(tmp_path: Path, dfew: str) -> None:
    folder = tmp_path / "own"
    for k, label in enumerate(("a", "b")):
        write_frames(folder / "train" / label / "1", 1, first=k)
    with pytest.raises(ConfigError, match=r"--protocol paper .*'own'"):
        train(data=str(folder), protocol="paper", console=QUIET)
    with pytest.raises(ConfigError, match="--protocol 'papers'"):
        train(protocol="papers", console=QUIET)
    with pytest.raises(ConfigError, match="--stage landmark"):
        train(stage="landmark", data=dfew, protocol="paper", console=QUIET)


def test_a_run_by_the_papers_protocol_says_so_in_its_record_and_in_its_results(
    dfew: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {
        "data": dfew,
        "stage": "image",
        "landmark": write_landmark(tmp_path / "landmark.safetensors"),
        "epochs": 1,
    }
    changes = ("workers=1", "image.batch_clips=7")
    (run,) = train(**options, changes=changes, protocol="paper", console=QUIET)
    assert read_run(run).settings["protocol"] == "paper"
    assert read_run(run).labels[0] == "happy"
    capsys.readouterr()

    paper = evaluate(run, data=dfew, device="cpu", protocol="paper")
    messages = " ".join(capsys.readouterr().err.split())
    assert (paper["protocol"], paper["selected_on"], paper["n"], paper["skipped"]) == ("paper", "test", 7, 0)
    assert "'test'" in messages
    assert "no face" not in messages
    assert evaluate(run, data=dfew, device="cpu")["protocol"] == "default"


def test_unreadable_clips_stop_or_are_skipped(
    dfew: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    root = Path(shutil.copytree(dfew.split(":")[1], tmp_path / "DFEW"))
    (root / "Clip/clip_224x224_16f/00009/3.png").write_bytes(b"")
    data = f"dfew/1:{root}"
    with pytest.raises(MediaError, match=r"00009/3\.png"):
        prepared(plan(data, protocol="paper"))
    shutil.rmtree(root / "Clip/clip_224x224_16f/00022")
    train_clips, val_clips = prepared(plan(data, protocol="paper", skip_unreadable=True))
    assert (len(train_clips), len(val_clips)) == (13, 6)
    assert all("00009" not in name for name in train_clips.names)
    messages = " ".join(capsys.readouterr().err.split())
    assert "training clips: 1 of 14 " in messages
    assert "validation clips: 1 of 7 " in messages
