"""Animated stills as a set on disk: labelled, seeded, and resumed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2d_edge.core.claims import claim_existing
from s2d_edge.core.errors import DataError, S2DEdgeError
from s2d_edge.data.animate import clip, dataset, learning, stills
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.media.faces import search
from s2d_edge.media.pictures import frame_paths, read_image
from tests.data.animate.faces import write_table
from tests.data.animate.sets import FEW, LABELS, QUIET, contents, rows_of, run

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share


def test_a_set_lists_subjects_labels_and_paths(drawn: None, photographs: Path, tmp_path: Path) -> None:
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
    assert opened.sources[0].drawn_fps() == 8.0


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


def test_clips_do_not_depend_on_workers_neighbours_or_order(
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


def test_both_directions_hold_equal_frames_in_opposite_order(
    drawn: None, photographs: Path, tmp_path: Path
) -> None:
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


def test_an_interrupted_set_is_hidden_and_resumed(
    drawn: None, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    run(photographs, whole)
    calls = iter(range(1000))
    real = clip.animate

    def until_interrupted(*arguments: Any) -> Any:
        if next(calls) == 4:
            with pytest.raises(S2DEdgeError, match="out"):  # nobody else writes into it
                claim_existing([out])
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


@pytest.mark.parametrize("whole", [True, False])
def test_a_set_of_another_face_search_is_neither_mended_nor_touched(
    drawn: None, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    monkeypatch.setattr(search, "SEARCH_VERSION", 1)
    run(photographs, tmp_path / "out")
    if not whole:
        shutil.rmtree(tmp_path / "out" / rows_of(tmp_path / "out")[0]["path"])
    before = contents(tmp_path / "out")
    monkeypatch.setattr(search, "SEARCH_VERSION", 2)
    with pytest.raises(DataError, match="face_search=1, not 2"):
        run(photographs, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_limit_split_and_size_choose_the_stills(drawn: None, photographs: Path, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("limit", [7, 8, 12, 30])
def test_a_limit_keeps_every_class(limit: int) -> None:
    rare = ("fear", "disgust", "contempt")
    labels = {n: rare[n] if n < 3 else ("glad", "sad", "calm", "cross")[n % 4] for n in range(200)}
    many = [
        stills.Still(path=Path(f"{n}.jpg"), name=f"{n}", label=label, subject="", split=split)
        for split in ("train", "test")
        for n, label in labels.items()
    ]
    kept = stills.chosen(many, replace(FEW, limit=limit))
    for split in ("train", "test"):
        here = [still.label for still in kept if still.split == split]
        assert len(here) == limit
        assert set(here) == set(labels.values())


def test_a_limit_that_had_every_class_chooses_as_before() -> None:
    many = [
        stills.Still(path=Path(f"{n}.jpg"), name=f"{n}", label=LABELS[n % 3], subject="", split="train")
        for n in range(90)
    ]
    kept = stills.chosen(many, replace(FEW, limit=20))
    before = {still.name for still in stills.shuffled(many)[:20]}
    assert {still.name for still in kept} == before


def test_a_limit_below_the_number_of_classes_says_what_it_leaves_out(
    drawn: None, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(photographs, tmp_path / "limited", replace(FEW, limit=2))
    missing = set(LABELS) - {row["label"] for row in rows_of(tmp_path / "limited") if row["split"] == "train"}
    said = " ".join(capsys.readouterr().err.split())
    assert missing or done["skipped"]
    assert all(f"{label!r} of 'train'" in said for label in missing)


def test_faces_at_rest_are_learned_from_training_people_if_they_suffice(tmp_path: Path) -> None:
    def still(number: int, label: str, split: str) -> stills.Still:
        return stills.Still(
            path=Path(f"{number}.jpg"), name=f"{number}", label=label, subject="", split=split
        )

    many = [still(n, LABELS[n % 2], "train" if n < 60 else "test") for n in range(120)]
    assert {s.split for s in learning._to_learn_from(many, "neutral")} == {"train"}
    few = [still(n, LABELS[n % 2], "train" if n < 20 else "test") for n in range(120)]
    assert {s.split for s in learning._to_learn_from(few, "neutral")} == {"train", "test"}
