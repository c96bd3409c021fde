"""Videos as phones record them and editors leave them: on their side, trimmed, with oblong pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2d_edge.core.errors import MediaError
from s2d_edge.media import video
from s2d_edge.media.crop import Picture
from s2d_edge.media.iso_boxes import read_track_facts
from s2d_edge.media.upright import turn_upright
from s2d_edge.media.video import probe_video, read_video
from tests.av1 import write_av1
from tests.mp4 import set_edits, set_orientation, set_pixel_aspect
from tests.pictures import plain, write_video

CASES = Path(__file__).parents[2] / "../shared/cases"
FPS = 10.0


def corners() -> Picture:
    """A picture that no turn and no mirror leaves as it is, (64, 96, 3)."""
    picture = plain((40, 40, 40))
    picture[:32, :48] = (220, 40, 40)
    picture[:32, 48:] = (40, 220, 40)
    picture[32:, :48] = (40, 40, 220)
    return picture


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """An MP4 of 40 frames that grow brighter."""
    return write_video(
        tmp_path / "clip.mp4", [plain((6 * k, 6 * k, 6 * k)) for k in range(40)], FPS, code="mp4v"
    )


def shades(path: Path) -> list[float]:
    """The brightness of every frame that is shown."""
    return [float(frame.mean()) for _, frame in read_video(path)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_frames_are_turned_as_their_track_s_matrix_says(tmp_path: Path, orientation: int) -> None:
    path = write_video(tmp_path / "a.mp4", [corners()] * 4, FPS, code="mp4v")
    set_orientation(path, orientation)
    wanted = turn_upright(corners(), orientation)
    info = probe_video(path)
    assert (info.height, info.width) == wanted.shape[:2]
    for _, frame in read_video(path):
        assert np.abs(frame.astype(int) - wanted).mean() < 12


def test_a_phone_s_clip_shows_what_was_filmed() -> None:
    upright, phone = (list(read_video(CASES / f"{name}.mp4")) for name in ("upright", "phone-90"))
    assert [t_s for t_s, _ in phone] == [t_s for t_s, _ in upright]
    for (_, wanted), (_, shown) in zip(upright, phone, strict=True):
        assert shown.shape == wanted.shape
        assert np.abs(shown.astype(int) - wanted).mean() < 3  # both were encoded


def test_a_trimmed_clip_is_complete() -> None:
    path = CASES / "trimmed.mp4"
    assert probe_video(path).frames == 60
    frames = [frame for _, frame in read_video(path)]
    whole = [frame for _, frame in read_video(CASES / "upright.mp4")]
    assert len(frames) == 60
    assert all(np.array_equal(got, wanted) for got, wanted in zip(frames, whole[40:], strict=True))


@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        ([(0.0, 4.0)], list(range(40))),
        ([(0.0, 1.0)], list(range(10))),
        ([(2.5, 1.5)], list(range(25, 40))),
        ([(0.5, 1.0), (3.0, 0.5)], [*range(5, 15), *range(30, 35)]),
    ],
)
def test_an_edit_list_shows_parts_of_a_track(
    clip: Path, edits: list[tuple[float, float]], shown: list[int]
) -> None:
    whole = shades(clip)
    set_edits(clip, edits)
    assert probe_video(clip).frames == len(shown)
    assert shades(clip) == [whole[k] for k in shown]


def test_a_trimmed_clip_that_is_cut_short_is_an_error(clip: Path) -> None:
    set_edits(clip, [(1.0, 3.0)])
    data = bytearray(clip.read_bytes())
    begin, end = data.index(b"mdat"), data.index(b"moov")
    half = (begin + end) // 2
    data[half:end] = bytes(end - half)  # as a copy leaves it that broke off in the middle
    clip.write_bytes(data)
    with pytest.raises(MediaError, match=rf"{clip.name}.* of the 30 "):
        list(read_video(clip))


@pytest.mark.parametrize(
    ("wide", "high", "size"),
    [
        (1, 1, (96, 64)),
        (4, 3, (128, 64)),
        (16, 15, (102, 64)),
        (1, 2, (96, 128)),
        (0, 0, (96, 64)),
        (99, 1, (96, 64)),
    ],
)
def test_pixels_are_made_square(tmp_path: Path, wide: int, high: int, size: tuple[int, int]) -> None:
    path = write_video(tmp_path / "a.mp4", [corners()] * 4, FPS, code="mp4v")
    set_pixel_aspect(path, wide, high)
    info = probe_video(path)
    assert (info.width, info.height) == size
    frame = next(read_video(path))[1]
    assert frame.shape == (size[1], size[0], 3)
    left, right = frame[8, size[0] // 2 - 8], frame[8, size[0] // 2 + 8]
    assert left[0] > 180 > right[0]


def test_pixels_are_made_square_before_they_are_turned(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [corners()] * 4, FPS, code="mp4v")
    set_orientation(set_pixel_aspect(path, 4, 3), 6)
    assert next(read_video(path))[1].shape == (128, 64, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_av1_is_decoded_with_the_extra_and_named_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    path = write_av1(tmp_path / f"clip{suffix}")
    capfd.readouterr()
    info = probe_video(path)
    assert (info.width, info.height, info.fps) == (96, 64, FPS)
    times, frames = zip(*read_video(path), strict=True)
    np.testing.assert_allclose(times, np.arange(20) / FPS, atol=2e-3)
    assert np.abs(frames[9].astype(int) - plain((90, 110, 40))).mean() < 12
    monkeypatch.setattr(video, "pyav", lambda: None)
    with pytest.raises(MediaError, match=rf"{path.name}.*AV1.*s2d-edge\[av\]"):
        probe_video(path)
    assert capfd.readouterr() == ("", "")


def test_av1_of_a_phone_is_turned_too(tmp_path: Path) -> None:
    path = write_av1(tmp_path / "clip.mp4")
    set_edits(set_orientation(path, 6), [(0.5, 1.0)])
    assert probe_video(path).frames == 10
    frames = [frame for _, frame in read_video(path)]
    assert [frame.shape for frame in frames] == [(96, 64, 3)] * 10


def test_a_codec_that_nothing_decodes_is_named(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = clip.read_bytes()
    clip.write_bytes(data.replace(b"mp4v", b"vvc1").replace(b"esds", b"free"))
    with pytest.raises(MediaError, match=clip.name):
        probe_video(clip)
    monkeypatch.setattr(video, "pyav", lambda: None)
    with pytest.raises(MediaError, match=rf"{clip.name}.*VVC.*s2d-edge\[av\]"):
        probe_video(clip)


def test_damaged_tables_tell_nothing(clip: Path) -> None:
    """Every byte of the tables changed: the facts are read, or there are none."""
    whole = clip.read_bytes()
    for at in range(whole.index(b"moov") - 4, len(whole)):
        for value in (0, 255, whole[at] ^ 1):
            clip.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            facts = read_track_facts(clip)
            assert 0 < facts.shown <= 1
            assert facts.mirrored in (None, 2, 4, 5, 7)
