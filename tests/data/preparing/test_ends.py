"""The ends of long and large videos: which samples are read, and how many frames are in memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.data.preparing import clips, ends
from s2d_edge.data.preparing.clips import ClipLoader
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.media.crop import Picture, align_crop, whole_picture
from s2d_edge.media.tracking import Box, Face
from s2d_edge.media.video import VideoInfo
from tests.pictures import SquareDetector, square

T, FPS = 4, 5.0
SPEC = ClipSpec(frames=T, fps=FPS, size=48)
CROP = CropRecipe(size=48)


class Video:
    """A video that is made as it is read, counts the frames in memory, and may promise a wrong length."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, frames: int, *, fps: float = FPS, promised: int | None
    ) -> None:
        self.frames, self.fps = frames, fps
        self.promised = frames if promised is None else promised
        self.alive = self.most_alive = self.decoded = 0
        monkeypatch.setattr(ends, "probe_video", lambda path: self._info(path))
        monkeypatch.setattr(ends, "read_video", lambda path: self._read())

    def _info(self, path: Path) -> VideoInfo:
        return VideoInfo(path=path, fps=self.fps, width=96, height=64, frames=self.promised)

    def _read(self) -> Iterator[tuple[float, Picture]]:
        for k in range(self.frames):
            frame = square(k)
            self.alive += 1
            self.decoded += 1
            weakref.finalize(frame, self._freed)
            self.most_alive = max(self.most_alive, self.alive)
            yield k / self.fps, frame
            del frame

    def _freed(self) -> None:
        self.alive -= 1


class Faces(SquareDetector):
    """Finds the squares of the frames whose numbers are given by their brightness; counts its searches."""

    def __init__(self, hidden: Sequence[int] = ()) -> None:
        self.hidden = {100 + k for k in hidden}
        self.searches = 0

    def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
        self.searches += 1
        return [] if int(frame[..., 0].max()) in self.hidden else super().find(frame)


def load(monkeypatch: pytest.MonkeyPatch, faces: Faces, path: Path = Path("clip.mp4")) -> LoadedClip:
    monkeypatch.setattr(clips, "FaceFinder", lambda **_: faces)
    monkeypatch.setattr(clips, "media_kind", lambda path: "video")
    with ClipLoader(SPEC, CROP) as loader:
        return loader.load(path)


def expected(frames: int, hidden: Sequence[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The crops by the rule, made with every kept frame in memory."""
    kept = [*range(min(T, frames)), *range(max(T, frames - T), frames)]
    own = [None if k in hidden else SquareDetector().find(square(k))[0].points for k in kept]
    last = next((points for points in own if points is not None), None)
    crops = []
    for k, points in zip(kept, own, strict=True):
        last = last if points is None else points
        crops.append(whole_picture(square(k), 48) if last is None else align_crop(square(k), last, CROP))
    return np.stack(crops)


@pytest.mark.parametrize("promised", [None, 0, 60, 99, 101, 140])
@pytest.mark.parametrize("frames", [1, 3, 4, 5, 8, 9, 100])
def test_the_ends_are_read_whatever_length_is_promised(
    monkeypatch: pytest.MonkeyPatch, frames: int, promised: int | None
) -> None:
    video = Video(monkeypatch, frames, promised=promised)
    clip = load(monkeypatch, Faces())
    np.testing.assert_array_equal(clip.frames, expected(frames, ()))
    kept = [*range(min(T, frames)), *range(max(T, frames - T), frames)]
    assert clip.numbers is not None
    assert clip.numbers.tolist() == kept
    assert clip.faces_missed == 0
    assert clip.repeated is (frames < T)
    assert video.most_alive <= 4


@pytest.mark.parametrize(
    "hidden",
    [
        [0],
        [0, 1, 2, 3],
        [0, 1, 2, 3, 36],
        [2, 36, 38],
        list(range(39)),
        list(range(40)),
        [0, 1, 2, 3, 36, 37, 38],
    ],
)
@pytest.mark.parametrize("promised", [None, 0, 30, 50])
def test_frames_without_a_face_are_cropped_by_the_rule(
    monkeypatch: pytest.MonkeyPatch, hidden: list[int], promised: int | None
) -> None:
    """At the nearest earlier face, else at the first; with no frame but the one at hand in memory."""
    monkeypatch.setattr(ends, "_MARGIN", 0)
    video = Video(monkeypatch, 40, promised=promised)
    clip = load(monkeypatch, Faces(hidden))
    kept = [0, 1, 2, 3, 36, 37, 38, 39]
    assert clip.faces_missed == sum(k in hidden for k in kept)
    assert clip.faces_found == 8 - clip.faces_missed
    if promised is None or promised == 0 or promised >= 40:
        np.testing.assert_array_equal(clip.frames, expected(40, hidden))
    assert video.most_alive <= 4


def test_a_long_video_is_searched_at_its_ends_only(monkeypatch: pytest.MonkeyPatch) -> None:
    video = Video(monkeypatch, 3000, promised=None)
    faces = Faces()
    load(monkeypatch, faces)
    assert faces.searches < 50
    assert video.decoded == 3000  # once
    assert video.most_alive <= 4


@pytest.mark.parametrize(("fps", "pace"), [(5.0, 1.0), (15.0, 1.0), (2.5, 2.0), (1.0, 5.0)])
def test_a_clip_tells_its_pace_and_what_it_covers(
    monkeypatch: pytest.MonkeyPatch, fps: float, pace: float
) -> None:
    Video(monkeypatch, round(20 * fps), fps=fps, promised=None)
    clip = load(monkeypatch, Faces())
    assert clip.pace == pytest.approx(pace)
    (begin, end), (last_begin, last_end) = clip.spans
    assert begin == 0
    assert end == pytest.approx(3 * pace)
    assert last_end - last_begin == pytest.approx(3 * pace)
    assert last_end / FPS == pytest.approx(20, abs=max(1 / FPS, 1 / fps) + 0.01)


@pytest.mark.parametrize("crop", [None, CROP])
def test_a_still_is_decoded_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, crop: CropRecipe | None
) -> None:
    """With a face or without: no later frame of it can show where its face is."""
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for faceless in ([], [0]):
        read: list[Path] = []
        monkeypatch.setattr(clips, "read_image", lambda path, read=read: read.append(path) or square(0))
        monkeypatch.setattr(clips, "FaceFinder", lambda faceless=faceless, **_: Faces(faceless))
        with ClipLoader(ClipSpec(frames=8, fps=FPS, size=48), crop) as loader:
            assert loader.load(tmp_path / "a.png").frames.shape == (1, 48, 48, 3)
        assert read == [tmp_path / "a.png"]


def test_the_pictures_of_a_folder_are_read_one_by_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alive, most = [0], [0]

    def read(path: Path) -> Picture:
        frame = square(int(path.stem))
        alive[0] += 1
        most[0] = max(most[0], alive[0])
        weakref.finalize(frame, lambda: alive.__setitem__(0, alive[0] - 1))
        return frame

    monkeypatch.setattr(clips, "read_image", read)
    monkeypatch.setattr(clips, "FaceFinder", lambda **_: Faces([0, 1]))
    with ClipLoader(ClipSpec(frames=8, fps=FPS, size=48), CROP) as loader:
        clip = loader.load_frames([tmp_path / f"{k}.png" for k in range(8)])
    assert (clip.faces_found, clip.faces_missed) == (6, 2)
    first = SquareDetector().find(square(2))[0].points
    np.testing.assert_array_equal(clip.frames[0], align_crop(square(0), first, CROP))
    assert most[0] <= 4
