"""Sources of frames: cameras, streams and files, and their errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from s2d_edge.core.addresses import redact
from s2d_edge.core.errors import ConfigError, MediaError
from s2d_edge.firmware_host.io import capture_source
from s2d_edge.firmware_host.io.capture_source import CaptureSource
from s2d_edge.firmware_host.io.file_source import FileSource
from s2d_edge.firmware_host.io.opencv_capture import OpenCVCapture
from s2d_edge.firmware_host.io.opening import open_camera, open_source
from s2d_edge.firmware_host.io.source import SourceState
from tests.av1 import write_av1
from tests.firmware_host.rtsp import served_by_rtsp
from tests.firmware_host.stand_ins import FakeCapture
from tests.pictures import plain, write_video
from tests.servers import QuietHandler, serving


def test_lost_camera_is_reopened_and_its_frames_are_counted_on() -> None:
    connections = [FakeCapture(3), FakeCapture(2)]
    attempts: list[FakeCapture | None] = [connections[0], None, None, connections[1]]
    states = []

    def connect() -> FakeCapture:
        states.append(source.state if tried else SourceState.OPENING)
        tried.append(True)
        capture = attempts.pop(0)
        if capture is None:
            raise MediaError("still gone")
        return capture

    tried: list[bool] = []
    source = CaptureSource("camera", connect, reconnect_after_s=(0.001, 0.002))
    assert source.live
    indices, times = [], []
    for frame in source.frames():
        indices.append(frame.index)
        times.append(frame.t_s)
        assert source.state is SourceState.PLAYING
        if frame.index == 4:
            source.stop()
    assert indices == [0, 1, 2, 3, 4]
    assert times == sorted(times)
    assert times[0] == 0
    assert states == [SourceState.OPENING] + [SourceState.RECONNECTING] * 3
    assert connections[0].released
    assert connections[1].released
    assert source.state is SourceState.ENDED


def test_stop_ends_a_source_that_waits_to_reconnect() -> None:
    captures = [FakeCapture(1)]

    def connect() -> FakeCapture:
        if not captures:
            raise MediaError("gone for good")
        return captures.pop()

    source = CaptureSource("camera", connect, reconnect_after_s=(60.0,))
    frames = 0
    for _ in source.frames():
        frames += 1
        threading.Timer(0.1, source.stop).start()  # by then it waits; earlier, it ends all the same
    assert frames == 1


def levels(source: CaptureSource) -> list[int]:
    """The numbers of the frames that came, which their colours tell."""
    return [int(frame.picture[0, 0, 0]) for frame in source.frames()]


@pytest.mark.parametrize("stamped", [True, False])
def test_recording_behind_a_url_ends_and_has_its_own_clock(stamped: bool) -> None:
    """Also where the container names no times: they are counted then."""
    source = CaptureSource("http", lambda: FakeCapture(9, recording=True, promised=9, stamped=stamped))
    assert not source.live
    assert [frame.t_s for frame in source.frames()] == pytest.approx([k / 30 for k in range(9)])


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize("broken", [[28], [1], [28, 10, 40], [5, 5, 12, 12, 30]])
def test_a_recording_that_breaks_off_is_read_on(broken: list[int], stamped: bool) -> None:
    came = iter([*broken, 47])
    source = CaptureSource(
        "http",
        lambda: FakeCapture(next(came), recording=True, promised=47, stamped=stamped),
        reconnect_after_s=(0.001, 0.001, 0.001),
    )
    frames = list(source.frames())
    assert [int(frame.picture[0, 0, 0]) for frame in frames] == list(range(47))
    assert [frame.index for frame in frames] == list(range(47))
    assert [frame.t_s for frame in frames] == pytest.approx([k / 30 for k in range(47)])
    assert next(came, None) is None


@pytest.mark.parametrize("ways", [[28] * 9, [28, 27, 26, 28, 3, 2, 1, 0, 0]])
def test_a_recording_that_breaks_off_for_good_is_not_complete(ways: list[int]) -> None:
    came = iter(ways)
    source = CaptureSource(
        "http",
        lambda: FakeCapture(next(came), recording=True, promised=47),
        reconnect_after_s=(0.001, 0.001, 0.001),
    )
    with pytest.raises(MediaError, match="28 of the 47"):
        list(source.frames())
    assert next(came, None) is not None  # it gave up


def test_a_recording_whose_server_is_gone_ends_with_an_error() -> None:
    captures = [FakeCapture(28, recording=True, promised=47)]
    tried = []

    def connect() -> FakeCapture:
        tried.append(True)
        if not captures:
            raise MediaError("refused")
        return captures.pop()

    source = CaptureSource("http", connect, reconnect_after_s=(0.001, 0.001))
    with pytest.raises(MediaError, match="28 of the 47"):
        list(source.frames())
    assert len(tried) == 3


def test_a_stream_with_a_length_ends_only_when_all_of_it_came() -> None:
    """An RTSP server may name a duration: 28 of 47 frames are a lost line, 47 are the end."""
    came = iter([28, 46, 99])
    source = CaptureSource("rtsp", lambda: FakeCapture(next(came), promised=47), reconnect_after_s=(0.001,))
    assert source.live
    assert levels(source) == [*range(28), *range(46)]  # one frame less is the rounding of a duration
    assert list(came) == [99]


def test_a_stream_longer_than_its_length_is_a_camera() -> None:
    came = iter([99, 99, 47])
    source = CaptureSource("rtsp", lambda: FakeCapture(next(came), promised=47), reconnect_after_s=(0.001,))
    assert len(levels(source)) == 99 + 99 + 47


def test_a_real_rtsp_address_with_a_length_is_reopened_when_it_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_source, "RECONNECT_AFTER_S", (0.01,))
    frames = [plain((5 * k, 5 * k, 5 * k)) for k in range(47)]
    video = write_video(tmp_path / "clip.mp4", frames, fps=10.0, code="mp4v")
    with served_by_rtsp(video, 10.0, [28, 47]) as address:
        source = open_source(address)
        assert source.live
        assert "s3cret" not in source.name
        assert len(list(source.frames())) == 28 + 47
    assert source.state is SourceState.ENDED


@pytest.mark.parametrize(
    ("address", "count", "recording", "frames"),
    [
        ("rtsp://host/stream", 47.0, False, 47),
        ("rtmp://host/stream", 47.0, False, 47),
        ("http://host/clip.mp4", 47.0, True, 47),
        ("HTTPS://host/clip.mp4", 47.0, True, 47),
        ("http://host/live", -2.0e14, False, 0),
        ("rtsp://host/stream", float("nan"), False, 0),
    ],
)
def test_what_sets_the_pace_of_an_address(
    monkeypatch: pytest.MonkeyPatch, address: str, count: float, recording: bool, frames: int
) -> None:
    class Opened:
        """An address that opens, of which OpenCV knows a number of frames and nothing else."""

        def __init__(self, *_: Any) -> None: ...

        def get(self, what: int) -> float:
            return count if what == cv2.CAP_PROP_FRAME_COUNT else 0.0

        def set(self, what: int, value: float) -> bool:
            return False

        def isOpened(self) -> bool:
            return True

    monkeypatch.setattr(cv2, "VideoCapture", Opened)
    capture = OpenCVCapture(address, "name")
    assert (capture.recording, capture.frames) == (recording, frames)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Address of a web server: ``/clip.avi`` is a recording, ``/live`` an endless-looking MJPEG stream."""
    write_video(tmp_path / "clip.avi", [plain((9, 9, 9))] * 10)
    noise = np.random.default_rng(0).integers(0, 256, (47, 64, 96, 3), dtype=np.uint8)
    write_video(tmp_path / "long.avi", list(noise))
    broken: list[bool] = []
    picture = cv2.imencode(".jpg", plain((9, 9, 9)))[1].tobytes()

    class Handler(QuietHandler, SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def do_GET(self) -> None:
            if self.path == "/broken.avi":
                broken.append(True)
                whole = (tmp_path / "long.avi").read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(whole)))
                self.end_headers()
                # Every connection comes a little further than the one before.
                self.wfile.write(whole[: len(whole) * (2 + len(broken)) // 6])
                return
            if self.path != "/live":
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
            self.end_headers()
            for _ in range(12):
                head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                self.wfile.write(head.encode() + picture + b"\r\n")

    with serving(Handler, "me:s3cret@") as address:
        yield address


def test_recording_behind_http_is_read_whole(served: str) -> None:
    source = open_source(f"{served}/clip.avi")
    assert not source.live
    assert "s3cret" not in source.name
    assert len(list(source.frames())) == 10
    assert source.state is SourceState.ENDED


def test_recording_behind_http_that_breaks_off_is_read_whole(
    served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_source, "RECONNECT_AFTER_S", (0.01,) * 8)
    source = open_source(f"{served}/broken.avi")
    assert not source.live
    frames = list(source.frames())
    assert [frame.index for frame in frames] == list(range(47))
    assert [frame.t_s for frame in frames] == pytest.approx([k / 20 for k in range(47)])


def test_a_codec_that_opencv_lacks_is_named(served: str, tmp_path: Path) -> None:
    write_av1(tmp_path / "av1.mp4")
    with pytest.raises(MediaError, match=r"av1\.mp4.*AV1") as refused:
        open_source(f"{served}/av1.mp4")
    assert "s3cret" not in str(refused.value)


def test_stream_over_http_is_live_and_reopened(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_source, "RECONNECT_AFTER_S", (0.01,))
    source = open_source(f"{served}/live")
    assert source.live
    for frame in source.frames():
        if frame.index == 25:  # more than two connections' worth
            source.stop()
    assert frame.index == 25


def test_first_connection_that_fails_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MediaError, match="camera 99"):
        open_camera(99)
    assert capfd.readouterr().err == ""


def test_file_source_is_complete_and_can_be_stopped(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", [plain((9, 9, 9))] * 10)
    source = FileSource(path)
    assert (source.live, source.fps, source.state) == (False, 20.0, SourceState.OPENING)
    assert [frame.index for frame in source.frames()] == list(range(10))
    stopped = FileSource(path)
    for frame in stopped.frames():
        if frame.index == 2:
            stopped.stop()
    assert frame.index == 2


def test_addresses_never_show_their_password() -> None:
    url = "rtsp://admin:s3cret@10.0.0.9:554/stream?token=t0p#x"
    assert redact(url) == "rtsp://***@10.0.0.9:554/stream?***"
    with pytest.raises(ConfigError) as refused:
        open_source("gopher://admin:s3cret@host/x?token=t0p")
    assert "gopher" in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "t0p" not in str(refused.value)
    with pytest.raises(MediaError) as failed:
        open_source("http://admin:s3cret@127.0.0.1:9/x.mp4")
    assert "s3cret" not in str(failed.value)


def test_number_as_source_points_to_camera() -> None:
    with pytest.raises(MediaError, match="--camera 0"):
        open_source("0")
