"""Pictures and videos of every listed kind, under their own names, under wrong ones and under none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from s2d_edge.core.errors import MediaError
from s2d_edge.media.crop import Picture
from s2d_edge.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, media_kind
from s2d_edge.media.pictures import frame_paths, read_image
from s2d_edge.media.video import probe_video, read_video
from tests.pictures import plain
from tests.shared import Shared

FRAMES = 12
# Suffix of a file: format of the container, codec, frames per second, pixel format.
VIDEOS = {
    ".mp4": ("mp4", "libx264", 10, "yuv420p"),
    ".m4v": ("mp4", "mpeg4", 10, "yuv420p"),
    ".mov": ("mov", "prores_ks", 10, "yuv422p10le"),
    ".qt": ("mov", "mjpeg", 10, "yuvj420p"),
    ".avi": ("avi", "mjpeg", 10, "yuvj420p"),
    ".mkv": ("matroska", "libx265", 10, "yuv420p"),
    ".webm": ("webm", "libvpx-vp9", 10, "yuv420p"),
    ".flv": ("flv", "flv", 10, "yuv420p"),
    ".f4v": ("mp4", "libx264", 10, "yuv420p"),
    ".mpg": ("mpeg", "mpeg1video", 25, "yuv420p"),
    ".mpeg": ("mpeg", "mpeg2video", 25, "yuv420p"),
    ".vob": ("vob", "mpeg2video", 25, "yuv420p"),
    ".ts": ("mpegts", "libx264", 10, "yuv420p"),
    ".mts": ("mpegts", "mpeg2video", 25, "yuv420p"),
    ".m2ts": ("mpegts", "libx264", 10, "yuv420p"),
    ".3gp": ("3gp", "libx264", 10, "yuv420p"),
    ".3g2": ("3g2", "mpeg4", 10, "yuv420p"),
    ".wmv": ("asf", "wmv2", 10, "yuv420p"),
    ".asf": ("asf", "msmpeg4v3", 10, "yuv420p"),
    ".ogv": ("ogg", "libvpx", 10, "yuv420p"),
    ".mxf": ("mxf", "mpeg2video", 25, "yuv420p"),
    ".y4m": ("yuv4mpegpipe", "rawvideo", 10, "yuv420p"),
    ".mjpeg": ("mjpeg", "mjpeg", 25, "yuvj420p"),
    ".mjpg": ("mjpeg", "mjpeg", 25, "yuvj420p"),
    ".h264": ("h264", "libx264", 25, "yuv420p"),
    ".h265": ("hevc", "libx265", 25, "yuv420p"),
    ".hevc": ("hevc", "libx265", 25, "yuv420p"),
    ".gif": ("gif", "gif", 10, "rgb8"),
}
# Streams without a container tell nothing by their first bytes, or what a picture's tell.
WITHOUT_CONTAINER = {".mjpeg", ".mjpg", ".h264", ".h265", ".hevc"}


def shade(k: int) -> Picture:
    return plain((15 * k, 200 - 15 * k, 40))


def write_kind(path: Path) -> Path:
    """A video of 12 frames of the kind of the suffix."""
    container, codec, rate, pixels = VIDEOS[path.suffix]
    with av.open(str(path), "w", format=container) as output:
        quiet = {"log-level": "none", "x265-params": "log-level=none"} if codec == "libx265" else {}
        stream = output.add_stream(codec, rate=rate, options=quiet)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for k in range(FRAMES):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(shade(k), format="rgb24")))
        output.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def videos(shared: Shared) -> Path:
    """A folder with ``clip.SUFFIX`` of every kind."""
    return shared.folder("kinds", lambda folder: [write_kind(folder / f"clip{suffix}") for suffix in VIDEOS])


def test_every_listed_suffix_is_tried() -> None:
    assert set(VIDEOS) - {".gif"} == VIDEO_SUFFIXES


@pytest.mark.parametrize("suffix", VIDEOS)
def test_videos_of_every_kind(videos: Path, suffix: str) -> None:
    path = videos / f"clip{suffix}"
    rate = VIDEOS[suffix][2]
    assert media_kind(path) == "video"
    info = probe_video(path)
    assert (info.width, info.height) == (96, 64)
    assert info.fps == pytest.approx(rate, rel=0.02)
    times, frames = zip(*read_video(path), strict=True)
    np.testing.assert_allclose(times, np.arange(FRAMES) / rate, atol=2e-3)
    for k, frame in enumerate(frames):
        assert np.abs(frame.astype(int) - shade(k)).mean() < 25


@pytest.mark.parametrize("suffix", sorted(VIDEOS.keys() - WITHOUT_CONTAINER))
def test_a_video_is_known_by_its_content(videos: Path, tmp_path: Path, suffix: str) -> None:
    for name in ("clip.jpg", "clip.png", "clip.dat", "clip"):
        path = Path(shutil.copy(videos / f"clip{suffix}", tmp_path / name))
        assert media_kind(path) == "video"
        assert len(list(read_video(path))) == FRAMES


PICTURES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".jp2": "JPEG2000",
    ".avif": "AVIF",
}


@pytest.mark.parametrize("suffix", PICTURES)
def test_pictures_of_every_kind(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(shade(9)).convert("L" if suffix == ".pgm" else "RGB").save(path, PICTURES[suffix])
    assert media_kind(path) == "picture"
    picture = read_image(path)
    assert picture.shape == (64, 96, 3)
    assert suffix == ".pgm" or np.abs(picture.astype(int) - shade(9)).mean() < 12
    names = ["b.png", "b.mp4", "b.dat", "b"]
    for name in names[: 1 if suffix in (".ppm", ".pgm") else 4]:  # those two begin as many things do
        other = Path(shutil.copy(path, tmp_path / name))
        assert media_kind(other) == "picture"
        assert np.array_equal(read_image(other), picture)


def test_a_phone_s_picture_that_pillow_cannot_decode_is_named(tmp_path: Path) -> None:
    assert set(PICTURES) | {".heic", ".heif"} == IMAGE_SUFFIXES
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    assert media_kind(path) == "picture"
    with pytest.raises(MediaError, match=r"a\.heic.*HEIC"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.avif"])
def test_an_animation_is_a_video_with_its_own_times(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    pictures = [Image.fromarray(shade(k)) for k in range(6)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 100, 100, 400, 400, 400])
    assert media_kind(path) == "video"
    times, frames = zip(*read_video(path), strict=True)
    assert times == pytest.approx([0, 0.1, 0.2, 0.3, 0.7, 1.1])
    for k, frame in enumerate(frames):
        assert np.abs(frame.astype(int) - shade(k)).mean() < 25
    with pytest.raises(MediaError, match=name):
        read_image(path)


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.avif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_an_animation_that_is_cut_short_is_an_error(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(6)]
    noise[0].save(path, save_all=True, append_images=noise[1:], duration=100)
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
    with pytest.raises(MediaError, match=name):
        list(read_video(path))


def test_frames_of_every_kind_make_up_a_folder(tmp_path: Path) -> None:
    names = ["f1.jpg", "f2.tiff", "f3.jfif", "f4.PNG", "f5", "f6.mp4", "f10.gif"]
    for name, form in zip(names, ["JPEG", "TIFF", "JPEG", "PNG", "PNG", "JPEG", "GIF"], strict=True):
        Image.fromarray(shade(5)).save(tmp_path / name, form)
    for other in ("notes.txt", "Thumbs.db", "empty", "._f1.jpg"):
        (tmp_path / other).write_bytes(b"\0\5\x16\7" * (other != "empty"))
    assert [path.name for path in frame_paths(tmp_path)] == names


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    for name in ("pipe", "pipe.mp4", "pipe.jpg"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(MediaError, match="pipe"):
        media_kind(tmp_path / "pipe")
    with pytest.raises(MediaError, match=r"pipe\.mp4"):
        probe_video(tmp_path / "pipe.mp4")
    with pytest.raises(MediaError, match=r"pipe\.jpg"):
        read_image(tmp_path / "pipe.jpg")


def test_what_is_no_medium_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("notes.txt", "noise", "empty.dat"):
        path = tmp_path / name
        path.write_bytes(b"" if name.startswith("empty") else bytes(range(256)) * 40)
        with pytest.raises(MediaError, match=name):
            media_kind(path)
