"""Prepared clips equal the loader's, are made once, found again, and never stale."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError, MediaError
from s2d_edge.data.preparing import prepare as module
from s2d_edge.data.preparing.clips import ClipLoader, LoadedClip, load_many
from s2d_edge.data.preparing.prepare import PreparedClips, prepare
from s2d_edge.data.reading.dataset import Sample

SPEC, CROP = ClipSpec(frames=4, fps=4.0, size=32), CropRecipe(size=32)
QUIET = Console(quiet=True)


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """A folder of five frames, a picture, and a folder of two frames, none with a face."""
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)

    def picture(path: Path) -> None:
        path.parent.mkdir(exist_ok=True, parents=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (40, 48, 3), dtype=np.uint8))

    for k in range(5):
        picture(tmp_path / "a" / f"{k}.png")
    picture(tmp_path / "b.png")
    for k in range(2):
        picture(tmp_path / "c" / f"{k}.png")
    return [
        Sample(path=tmp_path / name, label=label, split="train")
        for label, name in enumerate(("a", "b.png", "c"))
    ]


def test_prepared_clips_equal_the_loaders(samples: list[Sample], capsys: pytest.CaptureFixture[str]) -> None:
    prepared = prepare(samples, SPEC, CROP, QUIET, title="clips")
    assert prepared.labels.tolist() == [0, 1, 2]
    assert prepared.window_counts.tolist() == [1, 1, 1]
    with ClipLoader(SPEC, CROP) as loader:
        for sample, window in zip(samples, prepared.windows, strict=True):
            assert np.array_equal(prepared.frames[window], loader.load(sample.path).windows[0])
    assert len(prepared.frames) == 4 + 1 + 2, "equal frames are kept once"
    assert prepared.faces_missed == 7
    said = " ".join(capsys.readouterr().err.split())
    assert "no face found in 7 of 7 frames" in said
    assert "1 of 3 clips have fewer than 4 frames" in said


def test_clips_are_prepared_once_and_again_when_a_file_changes(
    samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(samples, SPEC, CROP, QUIET, title="clips")
    loads: list[int] = []

    def counting(*args: Any, **options: Any) -> Iterator[LoadedClip]:
        loads.append(1)
        return load_many(*args, **options)

    monkeypatch.setattr(module, "load_many", counting)
    again = prepare(samples, SPEC, CROP, QUIET, title="clips")
    assert not loads
    assert np.array_equal(first.frames, again.frames)
    os.utime(samples[1].path, (1, 1))
    prepare(samples, SPEC, CROP, QUIET, title="clips")
    assert len(loads) == 1
    prepare(samples, SPEC, CropRecipe(size=32, margin=0.4), QUIET, title="clips")
    assert len(loads) == 2


@pytest.mark.parametrize("name", ["about.json", "index.npz", "frames.u8"])
def test_damaged_prepared_clips_are_prepared_again(
    samples: list[Sample], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = np.array(prepare(samples, SPEC, CROP, QUIET, title="clips").frames)
    (file,) = (tmp_path / "cache" / "clips").glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:-40])
    capsys.readouterr()
    again = prepare(samples, SPEC, CROP, QUIET, title="clips")
    assert np.array_equal(first, again.frames)
    assert name in capsys.readouterr().err.replace("\n", "")
    prepare(samples, SPEC, CROP, QUIET, title="clips")
    assert name not in capsys.readouterr().err.replace("\n", "")


def test_labels_are_not_part_of_the_key(samples: list[Sample]) -> None:
    prepare(samples, SPEC, CROP, QUIET, title="clips")
    other = [Sample(path=s.path, label=2 - s.label, split="train") for s in samples]
    assert prepare(other, SPEC, CROP, QUIET, title="clips").labels.tolist() == [2, 1, 0]


def test_an_unreadable_clip_stops_and_leaves_nothing_half_prepared(
    samples: list[Sample], tmp_path: Path
) -> None:
    samples[1].path.write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"b\.png"):
        prepare(samples, SPEC, CROP, QUIET, title="clips")
    assert list((tmp_path / "cache" / "clips").iterdir()) == []


def test_no_clips_or_a_missing_file_is_an_error(samples: list[Sample]) -> None:
    with pytest.raises(DataError, match="training clips"):
        prepare([], SPEC, CROP, QUIET, title="training clips")
    samples[1].path.unlink()
    with pytest.raises(DataError, match=r"b\.png"):
        prepare(samples, SPEC, CROP, QUIET, title="clips")


def test_unreadable_clips_are_skipped_and_counted_on_request(
    samples: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples[1].path.write_bytes(b"no picture")
    gone = Sample(path=tmp_path / "gone", label=3, split="train")

    def skipping(chosen: list[Sample]) -> PreparedClips:
        return prepare(chosen, SPEC, CROP, QUIET, title="clips", skip_unreadable=True)

    for _ in range(2):  # made, and found again
        prepared = skipping([*samples, gone])
        assert prepared.labels.tolist() == [0, 2]
        assert prepared.names == (str(samples[0].path), str(samples[2].path))
        assert len(prepared.windows) == 2
        assert "2 of 4 are unreadable and skipped" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(DataError, match=r"2 clips.*b\.png"):
        skipping([samples[1], gone])


def test_clips_skipped_before_are_an_error_without_skipping(samples: list[Sample]) -> None:
    samples[1].path.write_bytes(b"no picture")
    prepare(samples, SPEC, CROP, QUIET, title="clips", skip_unreadable=True)
    with pytest.raises(MediaError, match=r"b\.png"):
        prepare(samples, SPEC, CROP, QUIET, title="clips")


def test_windows_and_pictures_as_they_are(samples: list[Sample]) -> None:
    every = prepare(samples, SPEC, None, QUIET, title="clips", windows="every")
    ends = prepare(samples, SPEC, None, QUIET, title="clips", windows="ends")
    assert every.window_counts.tolist() == [1, 1, 1]
    assert ends.window_counts.tolist() == [2, 1, 1]  # of five frames, four and four
    assert every.faces_missed == 0, "no face is looked for"
    assert np.array_equal(ends.frames[ends.windows[0]], every.frames[every.windows[0]])
