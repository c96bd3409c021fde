"""A run folder says what it was made from: clips, weights, recipe, command; resuming checks its listing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.contracts.provenance import (
    PROVENANCE,
    copy_provenance,
    read_provenance,
    sentences,
    write_provenance,
)
from s2d_edge.contracts.runs import read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.core.files import sha256_of
from s2d_edge.data.preparing.prepare import prepare
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.train.command import train
from s2d_edge.train.supply import supply
from s2d_edge.train.supply.account import listing_sha256, require_same_listing
from tests.train.tiny import VIDEO, stopped_after, write_landmark

# Slow together, for what they share.
pytestmark = [pytest.mark.slow(seconds=1), pytest.mark.usefixtures("undrawn")]

QUIET = Console(quiet=True)
CHANGES = ("workers=1", "image.batch_clips=4", "video.batch_clips=4", "image.epochs=1", "video.epochs=1")


def _write_rows(folder: Path, rows: Sequence[tuple[str, ...]]) -> None:
    (folder / "labels.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of three labels and six people, one of them unreadable; the working directory beside them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(PRESETS, "demo", VIDEO)
    # Faces are not searched, which takes longest and is not what is tested.
    monkeypatch.setattr(
        supply, "prepare", lambda clips, spec, crop, *rest, **how: prepare(clips, spec, None, *rest, **how)
    )
    write_landmark(Path("landmark.safetensors"))
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows: list[tuple[str, ...]] = [("path", "label", "subject")]
    for k in range(18):
        cv2.imwrite(str(folder / f"{k}.png"), rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        rows.append((f"{k}.png", "abc"[k % 3], f"p{k // 3}"))
    (folder / "0.png").write_bytes(b"broken")
    _write_rows(folder, rows)
    return folder


def _train(data: Path, **more: Any) -> list[Path]:
    return train(
        data=str(data),
        landmark=Path("landmark.safetensors"),
        changes=CHANGES,
        skip_unreadable=True,
        console=QUIET,
        **more,
    )


@pytest.mark.slow(seconds=3)
def test_a_run_reproduces_itself(data: Path) -> None:
    image, video = _train(data, out=Path("first"), seed=3)
    one, other = read_run(image).made_from, read_run(video).made_from
    found = one["data"]
    assert found == other["data"]
    assert found["listed"] == {"train": 18}
    assert found["train"]["listed"] + found["validation"]["listed"] == 18
    assert found["carved"] == found["validation"]["listed"] > 0
    assert found["train"]["skipped"] + found["validation"]["skipped"] == 1
    for part in (found["train"], found["validation"]):
        assert part["used"] == part["listed"] - part["skipped"] == sum(part["of_each_label"].values())
    assert found["listing_sha256"] == listing_sha256(open_dataset(str(data), QUIET))
    landmark = {"name": "landmark.safetensors", "sha256": sha256_of(Path("landmark.safetensors"))}
    assert one["landmark"] == landmark
    assert other["landmark"]["sha256"] == landmark["sha256"]
    assert one["init"] is None
    assert other["init"] == {"name": "first-image", "sha256": read_run(image).weights_sha256}
    assert one["recipe"] == "quick"
    words = shlex.split(one["command"])
    assert words[:2] == ["s2d-edge", "train"]
    assert words[words.index("--seed") + 1] == "3"
    assert words.count("--set") == len(CHANGES)
    assert "--skip-unreadable" in words
    (taught,) = _train(data, out=Path("taught"), stage="video", init=image, teacher=[video])
    made = read_run(taught).made_from
    assert made["teacher"] == {"name": "first-video", "sha256": read_run(video).weights_sha256}
    said = " ".join(sentences(made))
    for shown in (
        "'data'",
        "first-video",
        "first-image",
        "--teacher",
        found["listing_sha256"][:12],
        "'quick'",
    ):
        assert shown in said


def _without(rows: list[list[str]]) -> list[list[str]]:
    return rows[:-1]


def _swapped(rows: list[list[str]]) -> list[list[str]]:
    return [*rows[:-2], rows[-1], rows[-2]]


def _other(column: int, value: str) -> Callable[[list[list[str]]], list[list[str]]]:
    def change(rows: list[list[str]]) -> list[list[str]]:
        return [*rows[:-1], [value if k == column else cell for k, cell in enumerate(rows[-1])]]

    return change


@pytest.mark.slow(seconds=2)
def test_a_resumed_training_refuses_another_listing_and_goes_on_with_the_old_one(
    data: Path,
) -> None:
    with stopped_after(2):
        _train(data, stage="image", out=Path("run"))
    listed = (data / "labels.csv").read_text()
    rows = [line.split(",") for line in listed.splitlines()]
    for change in (_without, _other(1, "a"), _other(2, "p0"), _other(0, "16.PNG"), _swapped):
        if change is not _without:
            (data / "16.PNG").write_bytes((data / "16.png").read_bytes())
        _write_rows(data, [tuple(row) for row in change(rows)])
        with pytest.raises(DataError, match=r"train 18, now 1[78]"):
            train(resume=Path("run"), console=QUIET)
    (data / "labels.csv").write_text(listed)
    moved = data.with_name("moved")
    data.rename(moved)
    about = json.loads(Path("run/run.json").read_text())
    about["settings"]["data"] = str(moved)  # the folder may move, and be named anew
    Path("run/run.json").write_text(json.dumps(about))
    assert train(resume=Path("run"), console=QUIET) == [Path("run")]
    assert read_run(Path("run")).made_from == about["made_from"]


def test_a_run_of_an_older_version_is_resumed(data: Path) -> None:
    """Its record lacks what was added since, and its snapshot was written by its path."""
    with stopped_after(2):
        _train(data, stage="image", out=Path("run"))
    about = json.loads(Path("run/run.json").read_text())
    del about["made_from"]
    for name in ("carving", "temporal", "teacher", "teachers", "protocol"):
        del about["settings"][name]
    Path("run/run.json").write_text(json.dumps(about))
    torch.save(torch.load("run/resume.pt", weights_only=True), Path("run/resume.pt"))
    (run,) = train(resume=Path("run"), console=QUIET)
    assert read_run(run).made_from == {}
    assert list(sentences(read_provenance(run))) == []


def test_an_older_run_without_a_record_is_resumed_unchecked(tmp_path: Path) -> None:
    sample = Sample(path=tmp_path / "a.png", label=0, split="train")
    dataset = Dataset(name="d", root=tmp_path, labels=("a", "b"), samples=(sample,))
    require_same_listing(dataset, {})
    known = {"data": {"listing_sha256": listing_sha256(dataset), "listed": dataset.splits}}
    require_same_listing(dataset, known)
    split = replace(dataset, samples=(replace(sample, split="val"),))
    with pytest.raises(DataError, match="train 1, now 0; val 0, now 1"):
        require_same_listing(split, known)


@pytest.mark.parametrize("skip_validation", [False, True])
def test_labels_whose_clips_are_all_unreadable_are_named(
    data: Path, capsys: pytest.CaptureFixture[str], skip_validation: bool
) -> None:
    rows = [("path", "label", "split")]
    rows += [(f"{k}.png", "abc"[k % 3], "val" if k > 8 else "train") for k in range(18)]
    _write_rows(data, rows)
    for k in range(1, 18, 3):  # of label b
        if (k > 8) == skip_validation:
            (data / f"{k}.png").write_bytes(b"broken")
    if skip_validation:
        (run,) = _train(data, stage="image", out=Path("run"))
        assert " b: " in " ".join(capsys.readouterr().err.split())
        assert read_run(run).made_from["data"]["validation"]["of_each_label"]["b"] == 0
    else:
        with pytest.raises(DataError, match=r"\bb\b"):
            _train(data, stage="image", out=Path("run"))
        assert not Path("run").exists()


def test_a_bundle_carries_the_record_of_its_run(tmp_path: Path, data: Path) -> None:
    (run,) = _train(data, stage="image", out=Path("run"))
    bundle, int8 = tmp_path / "bundle", tmp_path / "int8"
    for folder in (bundle, int8):
        folder.mkdir()
    write_provenance(bundle, read_run(run))
    copy_provenance(bundle, int8)
    for folder in (bundle, int8):
        found = read_provenance(folder)
        assert found["run"] == "run"
        assert found["weights_sha256"] == read_run(run).weights_sha256
        assert {*sentences(found)} == {*sentences(read_provenance(run))}
    (int8 / PROVENANCE).unlink()
    assert read_provenance(int8) == {}


def test_a_rate_above_that_of_a_source_is_warned_of_and_recorded(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = cv2.VideoWriter(str(data / "slow.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 5, (32, 32))
    for level in range(20):
        writer.write(np.full((32, 32, 3), 10 * level, np.uint8))
    writer.release()
    rows = [("path", "label", "split"), ("slow.mp4", "a", "train")]
    rows += [(f"{k}.png", "ab"[k % 2], "val" if k > 4 else "train") for k in range(1, 9)]
    _write_rows(data, rows)
    for _ in range(2):  # with a warm cache, too
        (run,) = _train(data, stage="image", fps=10.0)
        said = " ".join(capsys.readouterr().err.split())
        assert "slow.mp4" in said
        assert "--fps 5 " in said
        found = read_run(run).made_from["data"]
        assert (found["train"]["slower_than_fps"], found["train"]["slowest_fps"]) == (1, pytest.approx(5))
        assert (found["validation"]["slower_than_fps"], found["validation"]["slowest_fps"]) == (0, None)
    (run,) = _train(data, stage="image", fps=5.0)
    assert "--fps" not in capsys.readouterr().err
