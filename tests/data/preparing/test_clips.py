"""From paths to the frames a network sees."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, MediaError
from s2d_edge.data.preparing import clips
from s2d_edge.data.preparing.clips import ClipLoader, load_many
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.data.preparing.tally import LoadingTally
from s2d_edge.media.crop import Picture, align_crop, whole_picture
from s2d_edge.media.tracking import Box, Face
from tests.pictures import SquareDetector, plain, with_square, write_video

SPEC = ClipSpec(frames=4, fps=5, size=48)
CROP = CropRecipe(size=48)


def grey(level: int, side: int = 48) -> Picture:
    return plain((level, level, level), side, side)


def save(path: Path, picture: Picture) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[:, :, ::-1])
    return path


def levels(clip: LoadedClip) -> list[list[int]]:
    """The mean brightness of each frame of each window."""
    return np.rint(clip.windows.mean(axis=(2, 3, 4))).astype(int).tolist()  # type: ignore[no-any-return]


@pytest.fixture
def squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces are coloured squares."""
    monkeypatch.setattr(clips, "FaceFinder", lambda **_: SquareDetector())


def test_picture_becomes_equal_frames(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", with_square((200, 10, 10))[:48, :48])
    with ClipLoader(SPEC, None) as loader:
        clip = loader.load(path)
    assert clip.windows.shape == (1, 4, 48, 48, 3)
    assert clip.windows.dtype == np.uint8
    assert len(clip.frames) == 1
    for frame in clip.windows[0]:
        np.testing.assert_array_equal(frame, with_square((200, 10, 10))[:48, :48])
    assert (clip.repeated, clip.faces_found, clip.faces_missed) == (False, 0, 0)


def test_folder_of_exactly_t_frames_is_used_in_natural_name_order(tmp_path: Path) -> None:
    for name, level in (("f1", 10), ("f2", 20), ("f10", 30), ("f11", 40)):
        save(tmp_path / "clip" / f"{name}.png", grey(level))
    clip = ClipLoader(SPEC, None).load(tmp_path / "clip")
    assert levels(clip) == [[10, 20, 30, 40]]
    assert not clip.repeated


@pytest.mark.parametrize(
    ("available", "frames", "expected", "repeated"),
    [(8, 4, [0, 20, 50, 70], False), (2, 4, [0, 0, 10, 10], True), (5, 1, [20], False)],
)
def test_other_folders_are_sampled_uniformly(
    tmp_path: Path, available: int, frames: int, expected: list[int], repeated: bool
) -> None:
    for k in range(available):
        save(tmp_path / "clip" / f"{k}.png", grey(10 * k))
    clip = ClipLoader(ClipSpec(frames=frames, fps=5, size=48), None).load(tmp_path / "clip")
    assert levels(clip) == [expected]
    assert clip.repeated is repeated


def test_frames_of_another_size_are_resized(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", grey(90, side=100))
    assert ClipLoader(SPEC, None).load(path).frames.shape == (1, 48, 48, 3)


@pytest.mark.parametrize("fps", [10.0, 30.0])
def test_video_is_sampled_by_time_whatever_its_rate(tmp_path: Path, fps: float) -> None:
    """Brightness grows by 100 a second, so samples 0.2 s apart are 20 apart at any rate."""
    seconds = 2.0
    frames = (grey(int(100 * k / fps)) for k in range(int(seconds * fps)))
    clip = ClipLoader(SPEC, None).load(write_video(tmp_path / "v.avi", frames, fps))
    assert clip.windows.shape == (2, 4, 48, 48, 3)  # the first and the last window of 10 samples
    np.testing.assert_allclose(levels(clip), [[0, 20, 40, 60], [120, 140, 160, 180]], atol=4)
    assert not clip.repeated
    assert len(clip.frames) == 8


@pytest.mark.parametrize(
    ("fps", "frames", "numbers"),
    [
        (10.0, 10, None),  # a period apart
        (2.5, 6, [[0, 2, 4, 6], [4, 6, 8, 10]]),
        (2.5, 3, None),  # repeated
    ],
)
def test_windows_of_a_slow_video_know_where_their_frames_lie(
    tmp_path: Path, fps: float, frames: int, numbers: list[list[float]] | None
) -> None:
    clip = ClipLoader(SPEC, None).load(write_video(tmp_path / "v.avi", [grey(40)] * frames, fps))
    found = clip.window_numbers
    assert (found is None) if numbers is None else (found == pytest.approx(np.array(numbers, float)))


def test_overlapping_first_and_last_window(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.avi", (grey(10 * k) for k in range(10)), 10.0)  # 5 samples at 5 fps
    clip = ClipLoader(SPEC, None).load(video)
    np.testing.assert_allclose(levels(clip), [[0, 20, 40, 60], [20, 40, 60, 80]], atol=3)
    assert len(clip.frames) == 5


def test_short_video_repeats_frames_and_is_marked(tmp_path: Path) -> None:
    clip = ClipLoader(SPEC, None).load(
        write_video(tmp_path / "v.avi", (grey(50 * k) for k in range(4)), 10.0)
    )
    np.testing.assert_allclose(levels(clip), [[0, 0, 100, 100]], atol=3)
    assert clip.repeated


def test_face_is_cropped_and_its_absence_counted(tmp_path: Path, squares: None) -> None:
    picture = with_square((200, 60, 60), x=70, y=50, side=20)
    face = save(tmp_path / "face.png", picture)
    empty = save(tmp_path / "empty.png", plain((0, 0, 0)))
    with ClipLoader(SPEC, CROP) as loader:
        found, missed = loader.load(face), loader.load(empty)
    points = SquareDetector().find(picture)[0].points
    np.testing.assert_array_equal(found.frames[0], align_crop(picture, points, CROP))
    assert (found.faces_found, found.faces_missed) == (1, 0)
    np.testing.assert_array_equal(missed.frames[0], whole_picture(plain((0, 0, 0)), 48))
    assert (missed.faces_found, missed.faces_missed) == (0, 1)


def test_frame_without_a_face_is_cropped_where_the_nearest_earlier_one_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sometimes(SquareDetector):
        """Sees the square in the second and third of four frames."""

        calls = 0

        def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
            self.calls += 1
            return super().find(frame) if self.calls in (2, 3) else []

    monkeypatch.setattr(clips, "FaceFinder", lambda **_: Sometimes())
    frames = [with_square((200, 60, 60), x=5 * k, y=10, side=20) for k in range(4)]
    for k, frame in enumerate(frames):
        save(tmp_path / "clip" / f"{k}.png", frame)
    with ClipLoader(SPEC, CROP) as loader:
        clip = loader.load(tmp_path / "clip")
    own = [SquareDetector().find(frame)[0].points for frame in frames]
    for k, used in enumerate((1, 1, 2, 2)):
        np.testing.assert_array_equal(clip.frames[k], align_crop(frames[k], own[used], CROP))
    assert (clip.faces_found, clip.faces_missed) == (2, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.mp4", None),
        ("notes.txt", b"hello"),
        ("text.mp4", b"not a video"),
        ("zero.mp4", b""),
        ("bad.jpg", b"\xff\xd8\xff"),
    ],
)
def test_unreadable_clips_are_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=name):
        ClipLoader(SPEC, None).load(tmp_path / name)


def test_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    with pytest.raises(MediaError, match="clip"):
        ClipLoader(SPEC, None).load(tmp_path / "clip")


def test_crop_of_another_size_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"crop\.size=64"):
        ClipLoader(SPEC, CropRecipe(size=64))


@pytest.mark.slow(seconds=2)
def test_processes_keep_the_order_and_pass_errors_on(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{k}.png", grey(k)) for k in range(12)]
    loaded = list(load_many(paths, SPEC, None, workers=2))
    assert [clip.path for clip in loaded] == paths
    assert [int(clip.frames.mean()) for clip in loaded] == list(range(12))
    (tmp_path / "3.png").write_bytes(b"")
    clips_ahead = load_many(paths, SPEC, None, workers=2)
    assert [next(clips_ahead).path for _ in range(3)] == paths[:3]
    with pytest.raises(MediaError, match=r"3\.png"):
        next(clips_ahead)


def test_tally_reports_missing_faces_and_repeats(
    tmp_path: Path, squares: None, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = save(tmp_path / "empty.png", plain((0, 0, 0)))
    face = save(tmp_path / "face.png", with_square((200, 60, 60)))
    save(tmp_path / "short" / "0.png", with_square((200, 60, 60)))
    tally = LoadingTally()
    steps: list[int] = []
    slow = write_video(tmp_path / "slow.avi", [with_square((200, 60, 60))] * 5, 2.5)
    brisk = write_video(tmp_path / "brisk.avi", [with_square((200, 60, 60))] * 9, 10.0)
    list(tally.watch(load_many([face, empty, tmp_path / "short", slow, brisk], SPEC, CROP), steps.append))
    assert steps == [1] * 5
    tally.report(Console(quiet=True))
    printed = " ".join(capsys.readouterr().err.split())
    assert "no face was found in 1 of 13 frames" in printed
    assert "slow.avi" in printed
    assert "brisk.avi" not in printed
    assert "empty.png" in printed
    assert "repeated to fill 1 short clip (first:" in printed


def test_real_face_video(shared_data: Path) -> None:
    with ClipLoader(ClipSpec(frames=4, fps=4, size=112), CropRecipe(size=112)) as loader:
        clip = loader.load(shared_data / "clips" / "d0.mp4")
    assert clip.windows.shape == (2, 4, 112, 112, 3)
    assert clip.faces_missed == 0


def test_windows_of_consecutive_frames_share_their_pictures(tmp_path: Path) -> None:
    for k in range(7):
        save(tmp_path / "clip" / f"{k}.png", grey(10 * k))
    ends = ClipLoader(SPEC, None, "ends").load(tmp_path / "clip")
    assert levels(ends) == [[0, 10, 20, 30], [30, 40, 50, 60]]
    assert len(ends.frames) == 7
    every = ClipLoader(SPEC, None, "every").load(tmp_path / "clip")
    assert levels(every) == [[0, 10, 20, 30], [10, 20, 30, 40], [20, 30, 40, 50]]
    assert len(every.frames) == 6, "what no window shows is not read"


@pytest.mark.parametrize("workers", [1, 2])
def test_unreadable_clips_are_skipped_only_on_request(tmp_path: Path, workers: int) -> None:
    paths = [save(tmp_path / f"{k}.png", grey(k)) for k in range(5)]
    paths[1].write_bytes(b"")
    paths[3].unlink()
    tally = LoadingTally()
    steps: list[int] = []
    loading = load_many(paths, SPEC, None, workers=workers, on_unreadable=tally.skip)
    assert [clip.path for clip in tally.watch(loading, steps.append)] == [paths[0], paths[2], paths[4]]
    assert tally.unreadable == [paths[1], paths[3]]
    with pytest.raises(MediaError, match=r"1\.png"):
        list(load_many(paths, SPEC, None, workers=workers))


class _Deadly(type(Path())):  # type: ignore[misc]
    """A clip that ends the process that opens it, as one does that crashes a decoder."""

    def is_dir(self) -> bool:
        os.kill(os.getpid(), signal.SIGSEGV)
        return False


@pytest.mark.slow(seconds=3)
def test_a_clip_that_crashes_its_decoder_is_unreadable_and_the_others_are_loaded(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{k}.png", grey(k)) for k in range(4)]
    paths[1] = _Deadly(paths[1])
    tally = LoadingTally()
    loading = load_many(paths, SPEC, None, workers=2, on_unreadable=tally.skip)
    assert [clip.path for clip in tally.watch(loading, lambda step: None)] == [paths[0], *paths[2:]]
    assert tally.unreadable == [paths[1]]
    with pytest.raises(MediaError, match=r"1\.png.*SIGSEGV"):
        list(load_many(paths, SPEC, None, workers=2))
