"""``data check`` fails on what ``train`` refuses, and both name it; what is only odd, both warn of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.check.check import check
from s2d_edge.data.check.training import FEW_CLIPS, open_training_data
from s2d_edge.data.reading.open import list_data
from s2d_edge.train.command import train
from tests.data.check.conftest import Faces
from tests.data.reading.published.layouts import write_frames, write_picture
from tests.verbs.command import run

QUIET = Console(quiet=True)

Rows = list[tuple[str, str, str]]  # label, subject, split of each picture


def write_set(folder: Path, rows: Rows) -> Path:
    """A labels.csv of pictures, each of its own level."""
    lines = ["path,label,subject,split"]
    for k, (label, subject, split) in enumerate(rows):
        write_picture(folder / f"{k}.png", level=k)
        lines.append(f"{k}.png,{label},{subject},{split}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def faults(data: Path) -> set[str]:
    """Kinds of the faults that the check finds."""
    report = check(list_data(str(data), QUIET), QUIET, frames=1, fps=4.0)
    return {finding.kind for finding in report.findings if finding.trouble}


def plenty(*, train: str = "train", val: str = "val") -> Rows:
    """Clips of two labels and many people in two splits."""
    return [
        (label, f"{split}{k}", split)
        for split in (train, val)
        for k in range(3)
        for label in ("happy", "sad")
    ]


REFUSED: dict[str, tuple[Rows, str, str]] = {
    "no train split": (plenty(train="learn"), "no training split", "learn"),
    "Train and Val": (plenty(train="Train", val="Val"), "no training split", "Train"),
    "Val alone": (plenty(val="Val"), "split spelled in several ways", "Val"),
    "Dev alone": (plenty(val="Dev"), "split spelled in several ways", "Dev"),
    "TRAIN beside train": (
        [*plenty(), ("sad", "x", "TRAIN")],
        "split spelled in several ways",
        "TRAIN",
    ),
    "Fold A and fold a": (
        [*plenty(), ("sad", "x", "Fold A"), ("sad", "y", "fold a")],
        "split spelled in several ways",
        "[Ff]old [Aa]",
    ),
    "dev and eval": (
        [*plenty(val="dev"), ("sad", "x", "eval")],
        "no validation clips",
        "'dev' and 'eval'",
    ),
    "one class": ([("sad", f"{k}", "train") for k in range(4)], "one class", "sad"),
    "one clip a class": ([("sad", "", "train"), ("happy", "", "train")], "no validation clips", "2 training"),
    "one person": ([("sad", "a", "train"), ("happy", "a", "train")], "no validation clips", "1 subject"),
    "people each needed": (
        [("sad", "a", "train"), ("happy", "b", "train"), ("sad", "a", "train")],
        "no validation clips",
        "2 subject",
    ),
    "a class never in train": ([*plenty(), ("fear", "x", "val")], "unknown label", "fear"),
    "labels by case": ([*plenty(), ("Sad", "x", "train")], "label spelled in several ways", "Sad"),
    "labels by blanks": (
        [*plenty(), ("very sad", "x", "train"), ("very  sad", "y", "train")],
        "label spelled in several ways",
        "very  sad",
    ),
    "labels by a no-break space": (
        [*plenty(), ("very sad", "x", "train"), ("very\u00a0sad", "y", "train")],
        "label spelled in several ways",
        "very",
    ),
    "labels by Unicode form": (
        [*plenty(), ("f\u00e4hig", "x", "train"), ("fa\u0308hig", "y", "train")],
        "label spelled in several ways",
        "hig",
    ),
    "labels by an invisible letter": (
        [*plenty(), ("sad\u200b", "x", "train")],
        "label spelled in several ways",
        "sad",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_train_refuses_the_check_reports(name: str, tmp_path: Path) -> None:
    rows, kind, named = REFUSED[name]
    data = write_set(tmp_path / "set", rows)
    assert kind in faults(data)
    with pytest.raises(DataError, match=named):
        train(data=str(data), console=QUIET)
    assert run("data", "check", data, "--frames", 1, "--quiet") == 1


def test_an_empty_class_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k, place in enumerate(("train/happy", "train/sad", "val/happy", "val/sad")):
        write_frames(tmp_path / place / "1", 2, first=10 * k)
    assert not faults(tmp_path)
    (tmp_path / "train/fear").mkdir()
    assert faults(tmp_path) == {"class without training clips"}
    with pytest.raises(DataError, match="fear"):
        train(data=str(tmp_path), console=QUIET)
    assert run("data", "check", tmp_path, "--frames", 1, "--json", "-") == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["what"] for finding in findings if finding["trouble"]] == ["fear"]


def test_a_set_without_one_face(tmp_path: Path, every_picture_shows_a_face: Faces) -> None:
    data = write_set(tmp_path, plenty())
    write_frames(tmp_path / "clip", 3, first=100)
    with (tmp_path / "labels.csv").open("a") as file:
        file.write("clip,sad,x,train\n")
    assert not faults(data)
    assert every_picture_shows_a_face.searched == 1, "the first face ends the search"
    every_picture_shows_a_face.any_found = False
    assert faults(data) == {"no face"}
    assert every_picture_shows_a_face.searched == 1 + len(plenty()) + 3
    assert run("data", "check", data, "--frames", 1, "--quiet") == 1


@pytest.mark.parametrize("name", ["valid", "validation", "dev", "eval"])
def test_other_names_of_val_are_taken_and_said(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_set(tmp_path, plenty(val=name))
    dataset = open_training_data([str(data)], Console())
    assert dataset.splits == {"train": 6, "val": 6}
    assert dataset.split(name) == dataset.split("val"), "whoever asks for it by its own name finds it"
    assert f"{name!r} (6 clips) is taken as 'val'" in " ".join(capsys.readouterr().err.split())
    assert not faults(data)
    listing = list_data(str(data), QUIET, as_written=True)
    assert {entry.split for entry in listing.entries} == {"train", name}, "as a resumed older run reads it"


@pytest.mark.parametrize("name", ["valid", "validation", "dev", "eval"])
def test_a_folder_of_another_name_is_val(name: str, tmp_path: Path) -> None:
    for place in ("train/happy", "train/sad", f"{name}/happy", f"{name}/sad"):
        write_picture(tmp_path / place / "1.png")
    assert open_training_data([str(tmp_path)], QUIET).splits == {"train": 2, "val": 2}


def test_beside_val_another_name_stays_a_split_of_its_own(tmp_path: Path) -> None:
    data = write_set(tmp_path, [*plenty(), ("sad", "x", "dev")])
    dataset = open_training_data([str(data)], QUIET)
    assert dataset.splits == {"train": 6, "val": 6, "dev": 1}
    assert [sample.subject for sample in dataset.split("dev")] == ["x"]
    assert dataset.split("valid") == ()


Warned = Callable[[], str]


@pytest.fixture
def warned(capsys: pytest.CaptureFixture[str]) -> Warned:
    """A function that returns in one line what was printed since it was last called."""
    return lambda: " ".join(capsys.readouterr().err.split())


def test_subjects_that_differ_in_spelling_only_are_named(tmp_path: Path, warned: Warned) -> None:
    rows = [*plenty(), ("sad", "Ann", "train"), ("sad", "ANN", "train"), ("sad", "a nn", "train")]
    data = write_set(tmp_path, rows)
    assert not faults(data)
    open_training_data([str(data)], QUIET)
    assert "'ANN' and 'Ann' and 'a nn'" in warned()
    data = write_set(tmp_path, [*rows, ("sad", "ann", "val")])
    assert faults(data) == {"subject in several splits"}
    warned()
    open_training_data([str(data)], QUIET)
    assert "subject in several splits: ANN or Ann or a nn or ann" in warned(), (
        "a training is warned of a leak"
    )


def test_of_many_warnings_of_a_kind_some_are_printed(tmp_path: Path, warned: Warned) -> None:
    rows = [("sad", name, "train") for k in range(30) for name in (f"Ann{k}", f"ann{k}")]
    open_training_data([str(write_set(tmp_path, [*plenty(), *rows]))], QUIET)
    said = warned()
    assert said.count("subject spelled in several ways") == 6
    assert "and 25 more" in said


def test_a_small_validation_split_is_named(tmp_path: Path, warned: Warned) -> None:
    rows = [row for row in plenty() if row[2] == "train"]
    data = write_set(tmp_path, [*rows, *[(("sad", "happy")[k % 2], "x", "val") for k in range(7)]])
    open_training_data([str(data)], QUIET)
    assert "7 clips, of which one is 14.3 points" in warned()
    assert not faults(data)
    shutil.rmtree(tmp_path)
    write_set(tmp_path, [*rows, *[(("sad", "happy")[k % 2], "x", "val") for k in range(FEW_CLIPS)]])
    open_training_data([str(data)], QUIET)
    assert "points" not in warned()


def test_a_class_without_validation_clips_is_named(tmp_path: Path, warned: Warned) -> None:
    data = write_set(tmp_path, [*plenty(), ("fear", "x", "train"), ("fear", "y", "train")])
    open_training_data([str(data)], QUIET)
    assert "class without validation clips: fear" in warned()
    rows = [(label, who, "train") for label, who, _ in plenty()]
    data = write_set(tmp_path, [*rows, ("fear", "x", "train"), ("fear", "x", "train")])
    open_training_data([str(data)], QUIET)
    assert "no validation clip shows fear" in warned(), "only one person does"
    assert not faults(data)
