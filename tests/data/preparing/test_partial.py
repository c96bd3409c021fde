"""A preparation that was interrupted goes on where it stood, and ends with the frames of one that was not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.core.console import Console
from s2d_edge.core.errors import MediaError
from s2d_edge.data.preparing import partial
from s2d_edge.data.preparing import prepare as module
from s2d_edge.data.preparing.clips import try_many
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.data.preparing.partial import partial_folder, sweep_partial
from s2d_edge.data.preparing.prepare import PreparedClips, prepare
from s2d_edge.data.reading.dataset import Sample
from tests.pictures import plain, write_video

SPEC = ClipSpec(frames=4, fps=4.0, size=32)
QUIET = Console(quiet=True)


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """Two pictures, a slow video, an unreadable file, a short folder, and a picture."""
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)

    def picture(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(path), rng.integers(0, 256, (40, 48, 3), dtype=np.uint8))
        return path

    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    slow = write_video(tmp_path / "slow.avi", [plain((9, 90, 200))] * SPEC.frames, SPEC.fps / 2)
    paths = [picture("a.png"), picture("b.png"), slow, bad, picture("c/0.png").parent, picture("d.png")]
    return [Sample(path=path, label=k % 2, split="train") for k, path in enumerate(paths)]


def _prepared(samples: list[Sample]) -> PreparedClips:
    return prepare(samples, SPEC, None, QUIET, title="clips", skip_unreadable=True)


def _interrupted_after(
    clips: int, monkeypatch: pytest.MonkeyPatch, error: BaseException | None = None
) -> list[Path]:
    """Let the next preparation be interrupted after so many clips; returns what is then loaded."""
    asked: list[Path] = []

    def trying(paths: list[Path], *rest: Any, **how: Any) -> Generator[LoadedClip | MediaError, None, None]:
        for path, loaded in zip(paths, try_many(paths, *rest, **how), strict=True):
            if len(asked) == clips:
                raise error or KeyboardInterrupt
            asked.append(path)
            yield loaded

    monkeypatch.setattr(module, "try_many", trying)
    return asked


def _equal(one: PreparedClips, other: PreparedClips) -> bool:
    return (
        np.array_equal(one.frames, other.frames)
        and np.array_equal(one.windows, other.windows)
        and np.array_equal(one.first_window, other.first_window)
        and np.array_equal(one.numbers, other.numbers)  # type: ignore[arg-type]
        and (one.names, one.unreadable, one.slow) == (other.names, other.unreadable, other.slow)
    )


def _torn(part: Path) -> None:
    """The last line of the journal was being written."""
    file = part / "journal.jsonl"
    file.write_bytes(file.read_bytes()[:-9])


def _ahead(part: Path) -> None:
    """Frames of a clip that the journal does not have."""
    with (part / "frames.u8").open("ab") as file:
        file.write(bytes(5000))


def _behind(part: Path) -> None:
    """The journal reached the disk, and the last frames did not."""
    file = part / "frames.u8"
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize("clips", [1, 3, 4, 5])
@pytest.mark.parametrize("damage", [None, _torn, _ahead, _behind])
def test_what_was_prepared_before_an_interruption_is_not_prepared_again(
    samples: list[Sample],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clips: int,
    damage: Callable[[Path], None] | None,
) -> None:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "whole"))
    whole = _prepared(samples)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    _interrupted_after(clips, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        _prepared(samples)
    (part,) = (tmp_path / "cache" / "clips").iterdir()
    if damage is not None:
        damage(part)
    asked = _interrupted_after(99, monkeypatch)
    assert _equal(_prepared(samples), whole)
    done = len(samples) - len(asked)
    assert clips - 2 <= done <= clips
    assert done == clips or damage in (_torn, _behind)
    assert not part.exists()


def test_an_error_leaves_nothing(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupted_after(2, monkeypatch, OSError(28, "No space left on device"))
    with suppress(OSError):
        _prepared(samples)
    assert list((tmp_path / "cache" / "clips").iterdir()) == []


def test_a_folder_that_another_process_has_is_left_to_it(tmp_path: Path) -> None:
    target = tmp_path / "clips" / "made"
    with partial_folder(target) as mine:
        (mine / "frames.u8").write_bytes(b"1")
        with partial_folder(target) as other:
            assert other != mine
            assert not (other / "frames.u8").exists()
        assert not other.exists()
        with pytest.raises(KeyboardInterrupt), partial_folder(target) as other:
            raise KeyboardInterrupt
        assert not other.exists(), "nobody would continue it"
        assert (mine / "frames.u8").exists()
    assert not mine.exists()


def test_what_nobody_continues_for_a_week_is_removed(tmp_path: Path) -> None:
    week = partial._FORGOTTEN_S
    folders = {}
    for name, age_s in (("old", week + 60), ("young", 60), ("used", week + 60)):
        with pytest.raises(KeyboardInterrupt), partial_folder(tmp_path / name) as folders[name]:
            (folders[name] / "frames.u8").touch()
            raise KeyboardInterrupt
        for each in (folders[name] / "frames.u8", folders[name]):
            os.utime(each, (time.time() - age_s,) * 2)
    with partial_folder(tmp_path / "used") as used:
        sweep_partial(tmp_path)
        assert used == folders["used"]
        assert used.exists()
    assert not folders["old"].exists()
    assert folders["young"].exists()
    sweep_partial(tmp_path / "absent")
