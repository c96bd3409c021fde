"""Reading and writing pictures and videos: every frame, or a clear error."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from s2d_edge.core.errors import MediaError
from s2d_edge.media.pictures import frame_paths, natural_key, read_image
from s2d_edge.media.video import VideoSink, probe_video, read_video
from tests.pictures import plain, write_video

FRAMES = [plain((10 * i, 255 - 10 * i, 40)) for i in range(20)]


def test_every_frame_comes_in_order_with_its_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", FRAMES, fps=20.0)
    info = probe_video(path)
    assert (info.fps, info.width, info.height, info.frames) == (20.0, 96, 64, 20)
    times, frames = zip(*read_video(path), strict=True)
    np.testing.assert_allclose(times, np.arange(20) / 20, atol=1e-6)
    for got, made in zip(frames, FRAMES, strict=True):
        assert got.dtype == np.uint8
        assert np.abs(got.astype(int) - made).max() < 12  # RGB, not BGR


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mkv", "mp4v"), ("a.avi", "mp4v")])
def test_video_that_is_cut_short_is_an_error(tmp_path: Path, name: str, code: str) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 96, 3), dtype=np.uint8) for _ in range(40)]
    path = write_video(tmp_path / name, noise, code=code)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match=rf"{name}.* of the 40 "):
        list(read_video(path))


def test_files_without_a_video_are_refused_by_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    empty, text, cut = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "cut.mp4"
    empty.touch()
    text.write_text("not a video\n" * 50)
    whole = write_video(tmp_path / "whole.mp4", FRAMES, code="mp4v").read_bytes()
    cut.write_bytes(whole[: len(whole) * 3 // 4])  # the index at the end is gone
    for path, message in (
        (tmp_path / "absent.mp4", "absent.mp4"),
        (tmp_path, tmp_path.name),
        (empty, "empty.mp4"),
        (text, "text.mp4"),
        (cut, "cut.mp4"),
    ):
        with pytest.raises(MediaError, match=message):
            list(read_video(path))
    assert capfd.readouterr().err == ""  # no chatter from OpenCV or FFmpeg


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_picture_is_rgb_and_truncated_is_an_error(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (80, 60))
    picture[:, :, 0] = 250
    path = tmp_path / f"a{suffix}"
    Image.fromarray(picture).save(path)
    read = read_image(path)
    assert read.shape == (60, 80, 3)
    assert np.abs(read.astype(int) - picture).mean() < 12
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(MediaError, match=path.name):
        read_image(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # damage may claim any size
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
@given(data=st.data())
def test_damaged_picture_is_decoded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    Image.fromarray(plain((200, 10, 10), 20, 16)).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with suppress(MediaError):
        picture = read_image(path)
        assert (picture.dtype.name, picture.ndim, picture.shape[2]) == ("uint8", 3, 3)


def test_pictures_of_other_kinds(tmp_path: Path) -> None:
    grey16 = tmp_path / "grey.png"
    Image.fromarray(np.full((4, 5), 40_000, np.uint16)).save(grey16)
    assert (read_image(grey16) == 40_000 >> 8).all()
    pgm = tmp_path / "grey.pgm"
    pgm.write_bytes(b"P5 5 4 65535\n" + np.full((4, 5), 40_000, ">u2").tobytes())
    assert (read_image(pgm) == 40_000 >> 8).all()
    for kind in (np.int32, np.float32):
        wide = tmp_path / "wide.tiff"
        Image.fromarray(np.full((4, 5), 40_000, kind)).save(wide)
        with pytest.raises(MediaError, match=r"wide\.tiff.*32"):
            read_image(wide)
    cmyk = tmp_path / "cmyk.jpg"
    Image.fromarray(plain((200, 30, 30))).convert("CMYK").save(cmyk)
    assert np.abs(read_image(cmyk).astype(int) - plain((200, 30, 30))).max() < 20
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(plain((200, 10, 10), 80, 40)).save(turned, exif=exif)
    assert read_image(turned).shape == (80, 40, 3)
    text = tmp_path / "text.png"
    text.write_text("hello")
    for path in (text, tmp_path / "absent.png"):
        with pytest.raises(MediaError):
            read_image(path)


def test_frame_folder_in_natural_order(tmp_path: Path) -> None:
    for name in ("f10.png", "f9.PNG", "f1.jpg", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    assert [path.name for path in frame_paths(tmp_path)] == ["f1.jpg", "f9.PNG", "f10.png"]
    assert sorted(["b", "10", "2", "a2b"], key=natural_key) == ["2", "10", "a2b", "b"]
    (tmp_path / "empty").mkdir()
    for folder, message in ((tmp_path / "empty", "empty"), (tmp_path / "absent", "absent")):
        with pytest.raises(MediaError, match=message):
            frame_paths(folder)


@pytest.mark.parametrize("fps", [8.0, 29.97003, 119.88, 7.123456])
def test_the_reader_reads_the_sink_s_video(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "out.mp4"
    with VideoSink(path, fps=fps, size=(96, 64)) as sink:
        assert not path.exists()
        for frame in FRAMES:
            sink.write(frame)
    assert probe_video(path).fps == pytest.approx(fps, rel=1e-3)
    frames = [frame for _, frame in read_video(path)]
    assert len(frames) == len(FRAMES)
    assert np.abs(frames[5].astype(int) - FRAMES[5]).mean() < 8


def test_sink_keeps_nothing_that_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"from before")
    with pytest.raises(ZeroDivisionError), VideoSink(path, fps=8, size=(96, 64)) as sink:
        sink.write(FRAMES[1 // 0])  # something fails elsewhere
    with pytest.raises(MediaError, match="50×64"), VideoSink(path, fps=8, size=(96, 64)) as sink:
        sink.write(plain((1, 2, 3), 50, 64))
    with pytest.raises(MediaError, match=path.name), VideoSink(path, fps=8, size=(96, 64)):
        pass
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(MediaError, match="disk"), VideoSink(path, fps=8, size=(96, 64)) as sink:
        sink.write(FRAMES[0])
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]
    assert path.read_bytes() == b"from before"
    with pytest.raises(MediaError, match=r"\.mp4"):
        VideoSink(tmp_path / "out.avi", fps=8, size=(96, 64))


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on file sizes")
def test_writes_that_fail_in_silence_are_noticed(tmp_path: Path) -> None:
    """OpenCV reports nothing when the disk is full; a limit on the file size does the same to it."""
    code = f"""
import resource
import numpy as np
from pathlib import Path
from s2d_edge.media.video import VideoSink
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rng = np.random.default_rng(0)
with VideoSink(Path({str(tmp_path / "out.mp4")!r}), fps=8, size=(96, 64)) as sink:
    for _ in range(40):
        sink.write(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "MediaError" in done.stderr
    assert "out.mp4" in done.stderr
    assert list(tmp_path.iterdir()) == []
