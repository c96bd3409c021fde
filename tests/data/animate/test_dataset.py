"""Animated stills as a set on disk: labelled, seeded, gone on with, and refused in a sentence."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError, MediaError
from s2d_edge.core.files import sha256_of
from s2d_edge.data.animate import AnimateSettings, animate_stills, clip, dataset, learning, stills
from s2d_edge.data.animate.landmarks import Points, StillFaceFinder
from s2d_edge.data.animate.resting import RestingFace, learn_resting_face
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.media.crop import Picture
from s2d_edge.media.pictures import frame_paths, read_image
from s2d_edge.verbs.main import app
from tests.data.animate.faces import round_face, some_stills, varied, write_table

QUIET = Console(quiet=True)
FEW = AnimateSettings(frames=4, seed=5)
LABELS = ("glad", "neutral", "sad")


class DrawnFaces:
    """Finds the same round face wherever the picture is not black."""

    def find(self, picture: Picture) -> Points | None:
        return round_face() * picture.shape[0] / 96 if picture.max() > 10 else None


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """FaceMesh and what it teaches, replaced by drawn geometry; everything else is as it is."""
    resting = learn_resting_face(varied(40, 0.0, seed=1), {"open": varied(40, 1.0, seed=2)})

    def learned(*args: Any, **options: Any) -> RestingFace:
        return resting

    monkeypatch.setattr(dataset, "resting_face", learned)
    monkeypatch.setattr(dataset, "StillFaceFinder", DrawnFaces)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Nine pictures of three labels and two splits, a tenth that is black, and a column of its own."""
    rng = np.random.default_rng(0)
    root = tmp_path / "stills"
    (root / "all").mkdir(parents=True)
    rows = []
    for number in range(10):
        size = (96, 96) if number else (64, 80)
        grain = rng.integers(40, 220, (*size, 3), dtype=np.uint8)
        picture = cv2.GaussianBlur(grain, (0, 0), 2) if number < 9 else np.zeros((96, 96, 3), np.uint8)
        cv2.imwrite(str(root / f"all/{number}.png"), picture)
        rows.append(
            {
                "path": f"all/{number}.png",
                "label": LABELS[number % 3],
                "subject": f"p{number // 3}",
                "split": "test" if number % 4 == 0 else "train",
                "camera": f"c{number}",
            }
        )
    write_table(root / "labels.csv", rows)
    return root


def contents(root: Path) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): sha256_of(p) for p in sorted(root.rglob("*")) if p.is_file()}


def rows_of(root: Path, name: str = "labels.csv") -> list[dict[str, str]]:
    with (root / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(photographs: Path, out: Path, settings: AnimateSettings = FEW, workers: int = 1) -> dict[str, Any]:
    return animate_stills(str(photographs), out, settings, QUIET, workers=workers)


def test_a_set_says_who_what_and_where(drawn: None, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = contents(photographs)
    done = run(photographs, out)
    assert (done["stills"], done["skipped"], done["clips"], done["made"]) == (10, 1, 9, 9)
    assert done["labels"] == {"glad": 3, "neutral": 3, "sad": 3}
    assert sorted(path.name for path in out.iterdir()) == [
        "animated.json",
        "clips",
        "labels.csv",
        "skipped.csv",
    ]
    assert contents(photographs) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "stills"]  # nothing outside

    originals = {row["path"]: row for row in rows_of(photographs)}
    for row in rows_of(out):
        original = originals[row["still"]]
        assert {name: row[name] for name in ("label", "subject", "split", "camera")} == {
            name: original[name] for name in ("label", "subject", "split", "camera")
        }
        assert len(frame_paths(out / row["path"])) == 4
        assert 0 <= int(row["apex"]) < 4
    assert rows_of(out, "skipped.csv") == [
        {"still": "all/9.png", "label": "glad", "subject": "p3", "split": "train"}
    ]

    opened = open_dataset(str(out), QUIET)
    assert opened.labels == LABELS
    assert opened.splits == {"test": 3, "train": 6}
    assert opened.drawn_fps() == 8.0


def test_the_apex_frame_is_the_photograph_but_for_its_compression(
    drawn: None, photographs: Path, tmp_path: Path
) -> None:
    run(photographs, tmp_path / "out")
    for row in rows_of(tmp_path / "out"):
        frames = [read_image(path) for path in frame_paths(tmp_path / "out" / row["path"])]
        original = read_image(photographs / row["still"])
        off = [float(np.abs(frame.astype(int) - original).mean()) for frame in frames]
        assert np.argmin(off) == int(row["apex"])
        assert off[int(row["apex"])] < 6


def test_the_same_bytes_with_other_workers_neighbours_and_order(
    drawn: None, photographs: Path, tmp_path: Path
) -> None:
    run(photographs, tmp_path / "one")
    whole = contents(tmp_path / "one/clips")
    rows = rows_of(photographs)[::-1][1:6]
    write_table(photographs / "labels.csv", rows)
    run(photographs, tmp_path / "other")
    part = contents(tmp_path / "other/clips")
    assert len(part) == 5 * 4
    assert part.items() <= whole.items()
    run(photographs, tmp_path / "third", replace(FEW, seed=6))
    assert not set(contents(tmp_path / "third/clips").values()) & set(part.values())


def test_both_directions_hold_the_same_frames(drawn: None, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(photographs, out, replace(FEW, direction=True, clips=2))
    assert done["labels"] == {
        "glad-onset": 6,
        "glad-offset": 6,
        "neutral": 6,
        "sad-onset": 6,
        "sad-offset": 6,
    }
    onsets = [row for row in rows_of(out) if row["label"].endswith("-onset")]
    for row in onsets:
        onset, offset = (
            [path.read_bytes() for path in frame_paths(out / row["path"].replace("onset", way))]
            for way in ("onset", "offset")
        )
        assert onset == offset[::-1]
        assert onset != offset


def test_an_interrupted_set_is_hidden_and_gone_on_with(
    drawn: None, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    run(photographs, whole)
    calls = iter(range(1000))
    real = clip.animate

    def until_interrupted(*arguments: Any) -> Any:
        if next(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(dataset, "animate", until_interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(photographs, out)
    assert len(list((out / ".clips").iterdir())) == 4  # whole ones only
    with pytest.raises(DataError):  # no reader takes a part for the set
        open_dataset(str(out), QUIET)
    first = {path: path.stat().st_mtime_ns for path in (out / ".clips").rglob("*.jpg")}

    (out / ".clips/.killed.x").mkdir()  # as a run leaves it that was killed while writing
    assert run(photographs, out)["made"] == 5
    assert contents(out) == contents(whole)
    for path, stamp in first.items():
        assert (out / "clips" / path.relative_to(out / ".clips")).stat().st_mtime_ns == stamp

    lost = out / rows_of(out)[0]["path"]
    shutil.rmtree(lost)
    assert run(photographs, out)["made"] == 1  # a finished set is mended
    assert contents(out) == contents(whole)
    assert run(photographs, out)["made"] == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"frames": 5}, r"frames=4, not 5"),
        ({"direction": True}, r"direction=False, not True"),
        ({"limit": 2}, r"limit=None, not 2"),
    ],
)
def test_a_set_of_other_settings_is_refused(
    drawn: None, photographs: Path, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    run(photographs, tmp_path / "out")
    kept = contents(tmp_path / "out")
    with pytest.raises(DataError, match=named):
        run(photographs, tmp_path / "out", replace(FEW, **change))
    assert contents(tmp_path / "out") == kept


def test_changed_stills_and_foreign_folders_are_refused(
    drawn: None, photographs: Path, tmp_path: Path
) -> None:
    run(photographs, tmp_path / "out")
    os.utime(photographs / "all/3.png", ns=(0, 0))
    with pytest.raises(DataError, match="other stills"):
        run(photographs, tmp_path / "out")
    with pytest.raises(DataError, match="holds no animated stills"):
        run(photographs, photographs)
    with pytest.raises(DataError, match="no split 'dev'; it has test, train"):
        run(photographs, tmp_path / "none", replace(FEW, split="dev"))
    with pytest.raises(DataError, match="are clips already"):
        animate_stills("avatars", tmp_path / "none", FEW, QUIET)
    with pytest.raises(DataError, match="is no picture"):
        run(tmp_path / "out", tmp_path / "again")
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "again").exists()
    folders = tmp_path / "folders"
    (folders / "train/sad").mkdir(parents=True)
    shutil.copy(photographs / "all/1.png", folders / "train/sad")
    with pytest.raises(DataError, match="would be read as a split"):
        run(folders, folders / "out")


def test_no_face_at_all_is_an_error_and_a_list(drawn: None, photographs: Path, tmp_path: Path) -> None:
    write_table(photographs / "labels.csv", rows_of(photographs)[-1:])
    with pytest.raises(DataError, match="no face was found in any of the 1 stills"):
        run(photographs, tmp_path / "out")
    assert len(rows_of(tmp_path / "out", "skipped.csv")) == 1
    assert not (tmp_path / "out/labels.csv").exists()


def test_a_broken_picture_is_named(drawn: None, photographs: Path, tmp_path: Path) -> None:
    whole = (photographs / "all/4.png").read_bytes()
    (photographs / "all/4.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match=r"4\.png"):
        run(photographs, tmp_path / "out")
    (photographs / "all/4.png").write_bytes(whole)


def test_limit_split_and_size_choose(drawn: None, photographs: Path, tmp_path: Path) -> None:
    done = run(photographs, tmp_path / "limited", replace(FEW, limit=2, size=48))
    assert done["splits"] == {"test": 2, "train": 2} or done["skipped"] == 1
    for row in rows_of(tmp_path / "limited"):
        assert max(read_image(frame_paths(tmp_path / "limited" / row["path"])[0]).shape) == 48
    done = run(photographs, tmp_path / "tested", replace(FEW, split="test"))
    assert done["splits"] == {"test": 3}
    sides = {
        read_image(frame_paths(tmp_path / "tested" / r["path"])[0]).shape
        for r in rows_of(tmp_path / "tested")
    }
    assert sides == {(96, 96, 3), (64, 80, 3)}  # as the stills are


def test_too_few_faces_at_rest_are_refused_before_anything_is_made(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 stills are labelled 'neutral' and 7 otherwise"):
        run(photographs, tmp_path / "out")
    with pytest.raises(
        DataError, match=r"0 stills are labelled 'calm' .*--neutral"
    ):  # nothing came of it yet
        run(photographs, tmp_path / "out", replace(FEW, neutral="calm"))


def test_faces_at_rest_are_learned_from_training_people_if_they_suffice(tmp_path: Path) -> None:
    def still(number: int, label: str, split: str) -> stills.Still:
        return stills.Still(
            path=Path(f"{number}.jpg"), name=f"{number}", label=label, subject="", split=split
        )

    many = [still(n, LABELS[n % 2], "train" if n < 60 else "test") for n in range(120)]
    assert {s.split for s in learning._to_learn_from(many, "neutral")} == {"train"}
    few = [still(n, LABELS[n % 2], "train" if n < 20 else "test") for n in range(120)]
    assert {s.split for s in learning._to_learn_from(few, "neutral")} == {"train", "test"}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"clips": 0}, "clips=0"),
        ({"frames": 3}, "frames=3"),
        ({"fps": 0.0}, "fps=0"),
        ({"size": 8}, "size=8"),
        ({"seed": -1}, "seed=-1"),
        ({"limit": 0}, "limit=0"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        AnimateSettings(**wrong)


def test_real_photographs_from_the_command_line(shared_data: Path, tmp_path: Path) -> None:
    """Two processes give what one gives."""
    rows = some_stills(shared_data, {"neutral": 22, "surprise": 22})
    table = str(write_table(tmp_path / "stills.csv", rows))
    one, two = tmp_path / "one", tmp_path / "two"
    options = [
        "--frames",
        "4",
        "--limit",
        "4",
        "--direction",
        "--quiet",
        "--json",
        str(tmp_path / "done.json"),
    ]
    result = CliRunner().invoke(app, ["data", "animate", table, str(one), *options, "--workers", "1"])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "done.json").read_text())
    assert report["stills"] - report["skipped"] >= 3
    assert set(report["labels"]) <= {"neutral", "surprise-onset", "surprise-offset"}

    two.mkdir()
    for name in ("animated.json", "resting.npz"):  # what is learned is learned once
        shutil.copy(one / name, two)
    result = CliRunner().invoke(app, ["data", "animate", table, str(two), *options, "--workers", "2"])
    assert result.exit_code == 0, result.output
    assert contents(one) == contents(two)


def test_real_mouths_open_to_the_photographs_expression(shared_data: Path) -> None:
    rows = some_stills(shared_data, {"neutral": 24, "surprise": 24})
    with StillFaceFinder() as finder:
        faces = [(row["label"], finder.find(read_image(Path(row["path"])))) for row in rows]
        found = {label: [p for known, p in faces if known == label and p is not None] for label, _ in faces}
        resting = learn_resting_face(np.stack(found["neutral"]), {"surprise": np.stack(found["surprise"])})
        gaps: list[list[float]] = []
        for row, (label, points) in zip(rows, faces, strict=True):
            if label == "surprise" and points is not None and len(gaps) < 5:
                plan = clip.plan_clip(0, row["path"], 0, frames=4, fps=4.0, onset=True)
                picture = read_image(Path(row["path"]))
                frames = clip.animate(picture, points, resting, plan)
                np.testing.assert_array_equal(frames[plan.motion.apex], picture)
                seen = [finder.find(frames[t]) for t in (0, plan.motion.apex)]
                if all(s is not None for s in seen):
                    gaps.append([float(s[14, 1] - s[13, 1]) for s in seen if s is not None])
    rest, apex = np.array(gaps).T
    assert np.median(rest) < 0.6 * np.median(apex)
