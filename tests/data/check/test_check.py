"""``data check`` on data with faults planted in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from s2d_edge.core.console import Console
from s2d_edge.data.check import training
from s2d_edge.data.check.check import check
from s2d_edge.data.check.report import CheckReport
from s2d_edge.data.reading.open import list_data
from s2d_edge.media.pictures import read_image
from tests.data.reading.published.layouts import write_dfew, write_frames, write_picture
from tests.pictures import plain, write_video
from tests.verbs.command import run

QUIET = Console(quiet=True)
HEAD = "path,label,subject,split\n"


@pytest.fixture(autouse=True)
def few_clips_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn sets have few clips; tests/data/check/test_training.py looks at what is said of that."""
    monkeypatch.setattr(training, "FEW_CLIPS", 1)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Seven folders of four frames and a picture: two people to a split, nothing wrong."""
    rows = []
    for k, split in enumerate(("train", "train", "train", "val", "test", "test", "val")):
        write_frames(tmp_path / f"clip{k}", 4, first=10 * k)
        rows.append(f"clip{k},{('happy', 'sad')[k % 2]},{split}{k % 2},{split}")
    write_picture(tmp_path / "still.png", level=200)
    rows.append("still.png,happy,train0,train")
    (tmp_path / "labels.csv").write_text(HEAD + "\n".join(rows) + "\n")
    return tmp_path


def look(data: Path | str, **more: Any) -> CheckReport:
    known = more.pop("labels", None)
    return check(list_data(str(data), QUIET, known), QUIET, **({"frames": 4, "fps": 8.0} | more))


def add(data: Path, *rows: str) -> None:
    with (data / "labels.csv").open("a") as file:
        file.writelines(f"{row}\n" for row in rows)


def only(report: CheckReport, kind: str) -> tuple[str, str]:
    """Subject and detail of the report's single finding, which must be of that kind."""
    assert [finding.kind for finding in report.findings] == [kind]
    return report.findings[0].what, report.findings[0].detail


def test_sound_data_passes_and_is_counted(sound: Path) -> None:
    report = look(sound)
    assert report.findings == ()
    assert report.passed
    assert report.clips == 8
    assert report.counts == {
        "train": {"happy": 3, "sad": 1},
        "val": {"happy": 1, "sad": 1},
        "test": {"happy": 1, "sad": 1},
    }


@pytest.mark.parametrize("how", ["cut", "empty", "text", "no frames"])
def test_an_unreadable_clip(sound: Path, how: str) -> None:
    frame = sound / "clip1/3.png"
    if how == "cut":
        frame.write_bytes(frame.read_bytes()[:-40])
    elif how == "empty":
        frame.write_bytes(b"")
    elif how == "text":
        frame.write_text("not a picture")
    else:
        shutil.rmtree(sound / "clip1")
        (sound / "clip1").mkdir()
    report = look(sound)
    what, detail = only(report, "unreadable")
    assert what == "clip1"
    assert ("clip1" if how == "no frames" else "clip1/3.png") in detail
    assert not report.passed


def test_a_short_clip(sound: Path) -> None:
    (sound / "clip2/4.png").unlink()
    assert only(look(sound), "too few frames") == ("clip2", "3 of 4; training would repeat frames")
    assert not look(sound).passed
    assert look(sound, frames=3).passed


def test_a_video_is_short_by_its_samples(sound: Path) -> None:
    write_video(sound / "film.avi", (plain((k, k, k), 32, 32) for k in range(30)), 30.0)  # one second
    add(sound, "film.avi,sad,,train")
    assert only(look(sound, fps=2.0), "too few frames")[0] == "film.avi"
    assert look(sound, fps=5.0).passed
    (sound / "film.avi").write_bytes((sound / "film.avi").read_bytes()[:2000])
    assert only(look(sound), "unreadable")[0] == "film.avi"


@pytest.mark.parametrize(("video_fps", "slow"), [(2.0, True), (4.0, True), (4.5, False), (30.0, False)])
def test_a_video_slower_than_the_models_rate_is_a_warning(sound: Path, video_fps: float, slow: bool) -> None:
    frames = (plain((k, k, k), 32, 32) for k in range(int(5 * video_fps)))
    write_video(sound / "film.avi", frames, video_fps)
    add(sound, "film.avi,sad,,train")
    report = look(sound, fps=5.0)
    found = [finding for finding in report.findings if finding.kind == "slower than the model's rate"]
    assert [finding.what for finding in found] == (["film.avi"] if slow else [])
    assert all(f"{video_fps:g} samples" in finding.detail for finding in found)
    assert report.passed


def test_a_shared_subject(sound: Path) -> None:
    write_frames(sound / "more", 4, first=100)
    add(sound, "more,sad,train1,test")
    report = look(sound)
    assert only(report, "subject in several splits") == ("train1", "1 clips in 'test', 1 clips in 'train'")
    assert not report.passed


def test_a_duplicate_is_a_fault_across_splits_and_a_warning_within_one(sound: Path) -> None:
    shutil.copytree(sound / "clip0", sound / "copy")
    add(sound, "copy,happy,,train")
    report = look(sound)
    what, detail = only(report, "duplicate within a split")
    assert (what, detail) == ("copy", "'happy' in 'train', has the content of clip0, 'happy' in 'train'")
    assert report.passed
    shutil.copy(sound / "still.png", sound / "still2.png")
    add(sound, "still2.png,happy,,test")
    report = look(sound)
    assert report.kinds == {"duplicate within a split": 1, "duplicate across splits": 1}
    assert [f.what for f in report.findings if f.trouble] == ["still2.png"]


def test_renamed_frames_are_still_a_duplicate(sound: Path) -> None:
    for k in range(4):
        (sound / "other").mkdir(exist_ok=True)
        shutil.copy(sound / f"clip4/{k + 1}.png", sound / f"other/frame-{k:03d}.png")
    add(sound, "other,sad,,train")
    assert only(look(sound), "duplicate across splits")[0] == "other"


def test_an_unknown_label(sound: Path) -> None:
    write_frames(sound / "more", 4, first=100)
    add(sound, "more,bored,,train")
    report = look(sound, labels=["happy", "sad"])
    (found,) = (finding for finding in report.findings if finding.trouble)
    assert (found.kind, found.what, "line 10" in found.detail) == ("unknown label", "more", True)
    report = look(sound, labels=["happy", "sad"])
    assert report.labels == ("happy", "sad", "bored")
    assert report.counts["train"]["bored"] == 1
    assert look(sound).passed, "without a set, what is trained on is one"


def test_a_label_that_training_never_sees(sound: Path) -> None:
    write_frames(sound / "more", 4, first=100)
    add(sound, "more,sadd,,test")
    what, detail = only(look(sound), "unknown label")
    assert what == "more"
    assert "'sadd'" in detail
    assert "never in 'train'" in detail


def test_missing_and_twice_listed_clips_are_all_reported(sound: Path) -> None:
    add(sound, "gone1,happy,,train", "gone2,sad,,train", "clip0,sad,,test")
    report = look(sound)
    assert report.kinds == {"listed twice": 1, "missing": 2}
    assert [f.what for f in report.findings] == ["clip0", "gone1", "gone2"]
    assert "'sad' in 'test' (" in report.findings[0].detail
    assert "before that 'happy' in 'train'" in report.findings[0].detail


def test_a_class_without_clips_is_a_warning(sound: Path) -> None:
    report = look(sound, labels=["happy", "sad", "fear"])
    assert only(report, "class without clips")[0] == "fear"
    assert report.passed


def test_processes_find_what_one_process_finds(sound: Path) -> None:
    (sound / "clip1/3.png").write_bytes(b"")
    assert look(sound, workers=2) == look(sound, workers=1)


def test_the_verb_writes_everything_and_fails_on_faults(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = sound / "balance.png"
    assert run("data", "check", sound, "--frames", 4, "--out", picture, "--json", "-") == 0
    out, err = capsys.readouterr()
    payload = json.loads(out)
    assert payload["passed"] is True
    assert payload["counts"]["val"] == {"happy": 1, "sad": 1}
    assert "nothing to put right" in err
    assert read_image(picture).std() > 10
    write_frames(sound / "short", 1, first=77)
    add(sound, *(f"gone{k},sad,,train" for k in range(7)), "short,sad,,train")
    assert run("data", "check", sound, "--frames", 4, "--json", "-") == 1
    out, err = capsys.readouterr()
    payload = json.loads(out)
    assert payload["kinds"] == {"missing": 7, "too few frames": 1}
    assert len(payload["findings"]) == 8
    assert payload["findings"][0]["trouble"] is True
    printed = " ".join(err.split())
    assert "missing: and 2 more" in printed
    assert "must be put right: missing (7), too few frames (1)" in printed


def test_several_sets_are_compared_with_each_other(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy of a training picture in another set's test split is a fault; within a split it is a warning."""
    other = tmp_path_factory.mktemp("other")
    rows = [HEAD.strip()]
    for k, split in enumerate(("train", "train", "val", "val")):
        write_picture(other / f"{k}.png", level=210 + k)
        rows.append(f"{k}.png,{('happiness', 'sad')[k % 2]},{split}{k},{split}")
    write_picture(other / "same.png", level=200)
    for split, sentence in (("train", "duplicate within a split"), ("test", "duplicate across splits")):
        (other / "labels.csv").write_text("\n".join([*rows, f"same.png,happiness,x,{split}"]) + "\n")
        code = run("data", "check", sound, other, "--frames", 4, "--json", "-")
        said = capsys.readouterr()
        found = json.loads(said.out)
        assert [len(one["findings"]) for one in found["sets"]] == [0, 0]
        assert [one["name"] for one in found["sets"]] == [sound.name, other.name]
        (finding,) = found["findings"]
        assert finding["kind"] == sentence
        assert finding["what"] == f"same.png of {other.name}"
        assert f"still.png of {sound.name}, 'happy' in 'train'" in finding["detail"]
        assert found["passed"] is not finding["trouble"]
        assert code == finding["trouble"]
        text = " ".join(said.err.split())
        assert sentence in text
        assert "'happiness' as 'happy'" in text
    (other / "labels.csv").write_text(HEAD + "0.png,Happy,a,train\n1.png,sad,b,train\n")
    assert run("data", "check", sound, other) == 1
    assert "'Happy' and 'happy'" in " ".join(capsys.readouterr().err.split())
    assert run("data", "check", sound, other, "--out", "balance.png") == 1


def test_published_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dfew(tmp_path, frames=3)
    listed = tmp_path / "EmoLabel_DataSplit/train(single-labeled)/set_1.csv"
    listed.write_text(listed.read_text() + "30,8\n")
    assert run("data", "check", f"dfew/1:{tmp_path}", "--frames", 3, "--json", "-", "--quiet") == 1
    payload = json.loads(capsys.readouterr().out)
    assert payload["name"] == "dfew-1"
    faults = {finding["kind"] for finding in payload["findings"] if finding["trouble"]}
    assert faults == {"unknown label", "missing"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--frames", 0], "--frames 0"),
        (["--fps", -1], "--fps -1.0"),
        (["--out", "balance.jpg"], "balance.jpg"),
        (["--out", "labels.csv.png"], "labels.csv.png"),
        (["--labels", "happy"], "happy"),
    ],
)
def test_senseless_options_are_refused(
    sound: Path,
    words: list[object],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(sound)
    (sound / "labels.csv.png").touch()
    assert run("data", "check", sound, *words) == 1
    assert message in capsys.readouterr().err
