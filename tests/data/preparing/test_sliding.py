"""Windows over a whole video: where they lie, what is searched, and what stays in memory."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.core.errors import ConfigError, DeviceError, MediaError
from s2d_edge.data.preparing import sliding
from s2d_edge.data.preparing.cropping import FrameCropper
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.data.preparing.sliding import slide
from s2d_edge.media.crop import Picture, Points, align_crop, whole_picture
from s2d_edge.media.sampling import sample_by_time
from tests.pictures import SquareDetector, square

T, FPS, SIZE = 4, 5.0, 32
SPEC = ClipSpec(frames=T, fps=FPS, size=SIZE)
CROP = CropRecipe(size=SIZE)


def points(frame: Picture) -> Points:
    return SquareDetector().find(frame)[0].points


def windows(
    monkeypatch: pytest.MonkeyPatch, times: list[float], every_s: float, hidden: range = range(0)
) -> tuple[list[LoadedClip], int]:
    """The windows of a video whose frames have these times, and how many frames were searched."""
    searched = [0]

    def find(frame: Picture) -> Points | None:
        searched[0] += 1
        return None if int(frame[..., 0].max()) - 100 in hidden else points(frame)

    monkeypatch.setattr(sliding, "media_kind", lambda path: "video")
    monkeypatch.setattr(sliding, "read_video", lambda path: ((t, square(k)) for k, t in enumerate(times)))
    made = slide(Path("clip.mp4"), SPEC, every_s, lambda: FrameCropper(SIZE, CROP, find))
    return list(made), searched[0]


def at(rate: float, seconds: float) -> list[float]:
    return [k / rate for k in range(round(rate * seconds))]


def begins(clips: list[LoadedClip]) -> list[float]:
    return [round(clip.spans[0][0] / FPS, 6) for clip in clips]


def test_a_window_begins_every_so_many_seconds_and_the_last_ends_with_the_video(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clips, searched = windows(monkeypatch, at(5, 4), 0.8)
    assert begins(clips) == [0, 0.8, 1.6, 2.4, 3.2]
    assert searched == 20
    assert begins(windows(monkeypatch, at(5, 4), 0.5)[0]) == [0, 0.6, 1, 1.6, 2, 2.6, 3, 3.2]
    assert begins(windows(monkeypatch, at(30, 4.2), 0.8)[0]) == [0, 0.8, 1.6, 2.4, 3.2, 3.4]
    for clip in clips:
        assert (clip.windows.shape, clip.faces_found, clip.faces_missed) == ((1, T, SIZE, SIZE, 3), T, 0)
        assert not clip.repeated


def test_what_lies_between_windows_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    clips, searched = windows(monkeypatch, at(10, 61), 10)
    assert begins(clips) == [0, 10, 20, 30, 40, 50, 60]
    assert searched == 7 * T


def test_a_short_video_is_one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    for every_s in (0.2, 5.0):
        (clip,), _ = windows(monkeypatch, at(5, 0.6), every_s)
        assert clip.repeated
        assert len(clip.frames) == 3


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.floats(0.5, 60),
    seconds=st.floats(0.1, 12),
    every_s=st.floats(0.05, 4),
    drop=st.sets(st.integers(0, 300)),
)
def test_windows_are_those_of_the_samples(
    monkeypatch: pytest.MonkeyPatch, rate: float, seconds: float, every_s: float, drop: set[int]
) -> None:
    """Against all samples in memory: each window begins with the first sample at or after its time."""
    times = [t for k, t in enumerate(at(rate, seconds)) if k not in drop] or [0.0]
    numbers = [number for number, _ in sample_by_time(((t, k) for k, t in enumerate(times)), FPS)]
    clips, _ = windows(monkeypatch, times, every_s)
    step = every_s * FPS
    due = {math.floor(number / step + 1e-6) for number in numbers}
    starts = sorted({next(k for k, n in enumerate(numbers) if n >= i * step - 1e-6) for i in due})
    whole = [k for k in starts if k + T <= len(numbers)]
    got = [numbers.index(clip.spans[0][0]) for clip in clips]
    assert got[: len(whole)] == whole
    assert len(got) - len(whole) <= 1
    if len(numbers) < T:
        assert got == [0]
    elif step <= T - 1:
        assert clips[-1].spans[0][1] == numbers[-1]
    for clip, begin in zip(clips, got, strict=True):
        assert clip.numbers is not None
        assert clip.numbers.tolist() == numbers[begin : begin + T]


def test_a_face_that_comes_late_is_where_the_frames_before_it_are_cropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clips, _ = windows(monkeypatch, at(5, 3), 0.2, hidden=range(6))
    first = points(square(6))
    assert [clip.faces_missed for clip in clips] == [4, 4, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(clips[0].frames[0], whole_picture(square(0), SIZE))
    for place, k in enumerate((3, 4, 5, 6)):
        np.testing.assert_array_equal(clips[3].frames[place], align_crop(square(k), first, CROP))


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (OSError("disk"), MediaError, r"clip\.mp4.*disk"),
        (MemoryError(), MediaError, r"clip\.mp4"),
        (DeviceError("npu"), DeviceError, "npu"),  # of the face search, not of the video
    ],
)
def test_what_is_wrong_with_a_video_names_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception], told: str
) -> None:
    def find(frame: Picture) -> Points | None:
        raise error

    monkeypatch.setattr(sliding, "media_kind", lambda path: "video")
    monkeypatch.setattr(sliding, "read_video", lambda path: iter([(0.0, square(0))]))
    with pytest.raises(kind, match=told):
        next(slide(Path("clip.mp4"), SPEC, 1.0, lambda: FrameCropper(SIZE, CROP, find)))


@pytest.mark.parametrize("every_s", [0.0, -1.0, math.nan, math.inf])
def test_a_pace_that_is_none_is_refused(every_s: float) -> None:
    with pytest.raises(ConfigError, match=str(every_s)):
        slide(Path("clip.mp4"), SPEC, every_s, lambda: FrameCropper(SIZE, None, lambda frame: None))


def test_a_picture_has_no_clock(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="clip"):
        slide(tmp_path / "clip", SPEC, 1.0, lambda: FrameCropper(SIZE, None, lambda frame: None))
    (tmp_path / "clip").mkdir()
    with pytest.raises(MediaError, match="clip"):
        slide(tmp_path / "clip", SPEC, 1.0, lambda: FrameCropper(SIZE, None, lambda frame: None))
