"""Sources of frames: cameras, streams and files, and their errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import pytest

from s2d_edge.core.errors import ConfigError, MediaError
from s2d_edge.firmware_host.io import capture_source
from s2d_edge.firmware_host.io.capture_source import CaptureSource
from s2d_edge.firmware_host.io.file_source import FileSource
from s2d_edge.firmware_host.io.opening import open_camera, open_source, redact
from s2d_edge.firmware_host.io.source import SourceState
from tests.firmware_host.stand_ins import FakeCapture
from tests.pictures import plain, write_video


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
    threading.Timer(0.1, source.stop).start()
    assert len(list(source.frames())) == 1


def test_recording_behind_a_url_ends_and_keeps_its_own_clock() -> None:
    source = CaptureSource("http", lambda: FakeCapture(3, finite=True))
    assert not source.live
    assert [frame.t_s for frame in source.frames()] == [0, 1 / 30, 2 / 30]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Address of a web server: ``/clip.avi`` is a recording, ``/live`` an endless-looking MJPEG stream."""
    write_video(tmp_path / "clip.avi", [plain((9, 9, 9))] * 10)
    picture = cv2.imencode(".jpg", plain((9, 9, 9)))[1].tobytes()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(tmp_path))

        def do_GET(self) -> None:
            if self.path != "/live":
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
            self.end_headers()
            for _ in range(12):
                head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                self.wfile.write(head.encode() + picture + b"\r\n")

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://me:s3cret@127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_recording_behind_http_is_read_whole(served: str) -> None:
    source = open_source(f"{served}/clip.avi")
    assert not source.live
    assert "s3cret" not in source.name
    assert len(list(source.frames())) == 10
    assert source.state is SourceState.ENDED


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
