"""Prepared clips equal the loader's, are made once, found again, and never stale."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError, MediaError
from s2d_edge.core.files import whole_folder
from s2d_edge.core.scratch import in_use, sweep
from s2d_edge.data.preparing import clips as clips_module
from s2d_edge.data.preparing import prepare as module
from s2d_edge.data.preparing.clips import ClipLoader, try_many
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.data.preparing.prepare import PreparedClips, prepare
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.media.crop import Picture
from s2d_edge.media.faces import search
from s2d_edge.media.pictures import read_image
from tests.pictures import plain, write_video

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

    def counting(*args: Any, **options: Any) -> Generator[LoadedClip | MediaError, None, None]:
        loads.append(1)
        return try_many(*args, **options)

    monkeypatch.setattr(module, "try_many", counting)
    again = prepare(samples, SPEC, CROP, QUIET, title="clips")
    assert not loads
    assert np.array_equal(first.frames, again.frames)
    os.utime(samples[1].path, (1, 1))
    prepare(samples, SPEC, CROP, QUIET, title="clips")
    assert len(loads) == 1
    prepare(samples, SPEC, CropRecipe(size=32, margin=0.4), QUIET, title="clips")
    assert len(loads) == 2


def test_clips_of_another_face_search_are_prepared_anew_and_the_old_ones_left(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache" / "clips"

    def state() -> dict[Path, tuple[int, bytes]]:
        return {
            file: (file.stat().st_mtime_ns, file.read_bytes()) for file in cache.rglob("*") if file.is_file()
        }

    monkeypatch.setattr(search, "SEARCH_VERSION", 1)
    prepare(samples, SPEC, CROP, QUIET, title="clips")
    prepare(samples, SPEC, None, QUIET, title="clips")
    old = state()
    monkeypatch.undo()
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    prepare(samples, SPEC, None, QUIET, title="clips")  # has no faces to find
    assert state() == old
    prepare(samples, SPEC, CROP, QUIET, title="clips")
    assert state().items() > old.items()
    assert len(list(cache.iterdir())) == 3


def test_clips_are_found_again_through_links_to_them_and_to_their_folder(
    samples: list[Sample], tmp_path: Path
) -> None:
    how = module._How(spec=SPEC, crop=CROP, windows="spread", workers=1, skip_unreadable=False)
    key = module._key(samples, how)
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "picture.png").symlink_to("b.png")
    inside = [replace(sample, path=tmp_path / "folder" / sample.path.name) for sample in samples]
    linked = [samples[0], replace(samples[1], path=tmp_path / "picture.png"), samples[2]]
    around = [replace(sample, path=sample.path.parent / "a" / ".." / sample.path.name) for sample in samples]
    assert {module._key(clips, how) for clips in (inside, linked, around)} == {key}
    assert module._key(samples[::-1], how) != key


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


def test_clips_slower_than_the_models_rate_are_named_and_keep_their_times(
    samples: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a warm cache too."""
    assert prepare(samples, SPEC, CROP, QUIET, title="clips").numbers is None
    slow = write_video(tmp_path / "slow.avi", [plain((90, 90, 90))] * SPEC.frames, SPEC.fps / 2)
    listed = [*samples, Sample(path=slow, label=0, split="train")]
    for _ in range(2):
        capsys.readouterr()
        numbers = prepare(listed, SPEC, CROP, QUIET, title="clips").numbers
        assert numbers is not None
        even = list(range(SPEC.frames))
        assert numbers.tolist() == [even, even, even, [2.0 * each for each in even]]
        said = " ".join(capsys.readouterr().err.split())
        assert "1 of 4" in said
        assert "slow.avi" in said


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
    with pytest.raises(DataError, match="clips"):
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


def test_repeated_frames_are_told_with_a_warm_cache_too(
    samples: list[Sample], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        prepare(samples, SPEC, CROP, QUIET, title="clips")
        assert "1 of 3 clips have fewer than 4 frames" in " ".join(capsys.readouterr().err.split())


def _left_behind(cache: Path, name: str, *, age_s: float = 3600) -> Path:
    folder = cache / "clips" / name
    folder.mkdir(parents=True)
    (folder / "frames.u8").write_bytes(bytes(100))
    then = time.time() - age_s
    os.utime(folder, (then, then))
    return folder


def test_what_a_killed_preparation_left_is_removed(samples: list[Sample], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    dead = [_left_behind(cache, f".{'0' * 32}.0123abcd{end}") for end in ("", ".old")]
    alive = _left_behind(cache, f".{'1' * 32}.0123abcd")
    young = _left_behind(cache, f".{'2' * 32}.0123abcd", age_s=0)
    others = [_left_behind(cache, name) for name in ("3" * 32, ".config.0123abcd", ".x.notahex0")]
    with in_use(alive):
        prepare(samples, SPEC, CROP, QUIET, title="clips")
        assert not any(folder.exists() for folder in dead)
        assert all(folder.exists() for folder in (alive, young, *others))
    prepare(samples, SPEC, CROP, QUIET, title="clips")
    assert not alive.exists()


def test_a_folder_under_way_is_not_taken_for_abandoned(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "made") as scratch:
        os.utime(scratch, (1, 1))
        assert sweep(tmp_path, "made") == 0
        assert scratch.is_dir()
    assert (tmp_path / "made").is_dir()


def _deep(path: Path) -> None:
    path.mkdir()
    (path / "frame.png").symlink_to("gone.png")


WRONG: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("not a picture"),
    "cut": lambda path: path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(50)),
    "link to nothing": lambda path: path.symlink_to("gone.png"),
    "link in a circle": lambda path: path.symlink_to(path.name),
    "empty folder": lambda path: path.mkdir(),
    "folder of a link to nothing": _deep,
    "pipe": os.mkfifo,
    "no video": lambda path: path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(60)),
}


@pytest.mark.parametrize("how", WRONG)
def test_whatever_is_wrong_with_a_clip_skips_it_by_name(
    samples: list[Sample], tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Sample(path=tmp_path / "bad.png", label=0, split="train")
    WRONG[how](bad.path)
    prepared = prepare([bad, *samples], SPEC, CROP, QUIET, title="clips", skip_unreadable=True)
    assert prepared.names == tuple(str(sample.path) for sample in samples)
    assert list(prepared.unreadable) == [str(bad.path)]
    assert "bad.png" in "".join(capsys.readouterr().err.split())
    with pytest.raises((DataError, MediaError), match=r"bad\.png"):
        prepare([bad, *samples], SPEC, CROP, QUIET, title="clips")


@pytest.mark.parametrize("error", [ValueError("odd"), MemoryError(), RuntimeError(), OSError(5, "I/O error")])
def test_whatever_a_decoder_raises_is_about_its_clip(
    samples: list[Sample], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(path: Path) -> Picture:
        if path.name == "b.png":
            raise error
        return read_image(path)

    monkeypatch.setattr(clips_module, "read_image", decode)
    with pytest.raises(MediaError, match=r"b\.png"):
        prepare(samples, SPEC, CROP, QUIET, title="clips")
    prepared = prepare(samples, SPEC, CROP, QUIET, title="clips", skip_unreadable=True)
    assert list(prepared.unreadable) == [str(samples[1].path)]


def test_every_skipped_clip_is_named_up_to_a_few(
    samples: list[Sample], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [Sample(path=tmp_path / f"bad{k}.png", label=0, split="train") for k in range(7)]
    prepare([*bad, *samples], SPEC, CROP, QUIET, title="clips", skip_unreadable=True)
    said = "".join(capsys.readouterr().err.split())
    assert all(f"bad{k}.png" in said for k in range(5))
    assert "and2more" in said


def test_clips_of_any_name(samples: list[Sample], tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/zo\xeb \n[x].png"))
    samples[1].path.rename(path)
    renamed = [Sample(path=path, label=0, split="train"), samples[0]]
    assert len(prepare(renamed, SPEC, CROP, QUIET, title="clips")) == 2
    assert len(prepare(renamed, SPEC, CROP, QUIET, title="clips")) == 2
