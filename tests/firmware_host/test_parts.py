"""The parts of the host one by one: queues, sources, the window, smoothing, results, drawing, the panel."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console as RichConsole

from firmware_host import sources
from firmware_host.annotate import FaceMark, Overlay, annotate
from firmware_host.messages import Glimpse, PipelineConfig
from firmware_host.panel import line, panel
from firmware_host.queues import BoundedQueue, QueueClosed, WhenFull
from firmware_host.results import JsonLines, LiveResult, Smoother
from firmware_host.sources import (
    CaptureSource,
    FileSource,
    SourceState,
    open_camera,
    open_source,
    redact,
)
from firmware_host.stats import LiveStats, Rate
from firmware_host.tracking import FaceTracker
from firmware_host.window import ClipWindow, SampledFace
from s2d_edge.errors import ConfigError, MediaError
from s2d_edge.face import Face
from s2d_edge.preprocess import Picture
from s2d_edge.sampling import ClipSpec
from tests.pictures import mesh_at, plain, write_video

SPEC = ClipSpec(frames=4, fps=10, size=32)
RESULT = LiveResult(
    t_s=1.5,
    frame=30,
    face=(1, 2, 30, 40),
    track=2,
    label="sad",
    probabilities={"happy": 0.25, "sad": 0.75},
    logits=(0.0, 1.1),
    latency_ms=12.5,
    infer_ms=7.0,
    dropped=3,
    dropped_clips=1,
)


# ---- queues


def test_dropping_queue_keeps_the_newest_and_counts() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2, WhenFull.DROP_OLDEST)
    for item in range(5):
        queue.put(item)
    queue.close()
    assert (queue.get(), queue.get(), queue.dropped) == (3, 4, 3)
    with pytest.raises(QueueClosed):
        queue.get()
    with pytest.raises(QueueClosed):
        queue.put(5)


def test_waiting_queue_loses_nothing() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2, WhenFull.WAIT)

    def fill() -> None:
        for item in range(50):
            queue.put(item)
        queue.close()

    writer = threading.Thread(target=fill)
    writer.start()
    taken = [queue.get() for _ in range(50)]
    writer.join()
    assert taken == list(range(50))
    assert queue.dropped == 0


def test_abort_frees_a_waiting_writer() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1, WhenFull.WAIT)
    queue.put(0)
    freed = threading.Event()

    def put() -> None:
        try:
            queue.put(1)
        except QueueClosed:
            freed.set()

    writer = threading.Thread(target=put)
    writer.start()
    queue.abort()
    writer.join()
    assert freed.is_set()
    with pytest.raises(QueueClosed):
        queue.get()


# ---- sources


class FakeCapture:
    """A connection that delivers some frames and is then lost."""

    def __init__(self, frames: int, *, finite: bool = False) -> None:
        self.fps: float | None = 30.0
        self.finite = finite
        self.released = False
        self._left: Iterator[int] = iter(range(frames))

    def read(self) -> tuple[float, Picture] | None:
        index = next(self._left, None)
        return None if index is None else (index / 30, plain((index, 0, 0), 8, 8))

    def release(self) -> None:
        self.released = True


def test_lost_camera_is_reopened_and_the_count_goes_on() -> None:
    connections = [FakeCapture(3), FakeCapture(2)]
    answers: list[FakeCapture | None] = [connections[0], None, None, connections[1]]
    states = []

    def connect() -> FakeCapture:
        states.append(source.state if tried else SourceState.OPENING)
        tried.append(True)
        answer = answers.pop(0)
        if answer is None:
            raise MediaError("still gone")
        return answer

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
    monkeypatch.setattr(sources, "RECONNECT_AFTER_S", (0.01,))
    source = open_source(f"{served}/live")
    assert source.live
    for frame in source.frames():
        if frame.index == 25:  # more than two connections' worth
            source.stop()
    assert frame.index == 25


def test_first_connection_that_fails_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MediaError, match=r"camera 99 cannot be opened.*this machine has"):
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


# ---- window and faces


def sample(index: int, fps: float = 10.0, t_s: float | None = None) -> SampledFace:
    at_s = index / fps if t_s is None else t_s
    return SampledFace(at_s, index, 0.0, (0, 0, 10, 10), plain((index, 0, 0), 32, 32))


def first_values(clip: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[int]:
    return [int(value) for value in clip[0, :, 0, 0, 0]]


def test_window_slides_by_the_stride() -> None:
    window = ClipWindow(SPEC, stride=2, gap_s=0.5)
    clips = {index: window.add(sample(index)) for index in range(9)}
    due = {index: first_values(clip) for index, clip in clips.items() if clip is not None}
    assert due == {3: [0, 1, 2, 3], 5: [2, 3, 4, 5], 7: [4, 5, 6, 7]}
    assert clips[3] is not None
    assert clips[3].shape == (1, 4, 32, 32, 3)
    assert clips[3].dtype == np.uint8


def test_gap_clears_the_window() -> None:
    window = ClipWindow(SPEC, stride=1, gap_s=0.5)
    for index in range(3):
        window.add(sample(index))
    assert not window.expire(0.6)
    assert window.filled == 3
    assert window.expire(0.71)
    assert window.filled == 0
    assert not window.expire(5.0)
    slow = ClipWindow(ClipSpec(frames=4, fps=1, size=32), stride=1, gap_s=0.5)
    slow.add(sample(0, fps=1))
    assert not slow.expire(2.0)  # at one sample per second the next one is not late


def test_short_file_stretches_its_longest_run() -> None:
    window = ClipWindow(SPEC, stride=1, gap_s=0.5)
    assert window.stretched() is None
    for index in (0, 1):
        window.add(sample(index))
    window.clear()
    window.add(sample(7))
    stretched = window.stretched()
    assert stretched is not None
    assert first_values(stretched[0]) == [0, 0, 1, 1]
    assert stretched[1].index == 1


def face(x: int, y: int, side: int) -> Face:
    return Face(mesh_at(x, y, side), (x, y, side, side))


def followed(tracker: FaceTracker, faces: list[Face], t_s: float = 0.0) -> dict[int, Face]:
    return {seat.track: face for seat, face in tracker.follow(faces, t_s)}


def tracker_of(seats: int) -> FaceTracker:
    return FaceTracker([ClipWindow(SPEC, stride=1, gap_s=0.5) for _ in range(seats)])


def test_one_seat_stays_with_a_person_until_another_comes() -> None:
    tracker = tracker_of(1)
    small, large = face(0, 0, 20), face(100, 100, 40)
    assert followed(tracker, []) == {}
    assert tracker.main is None
    assert followed(tracker, [small]) == {1: small}
    tracker.seats[0].window.add(sample(0))
    moved = face(4, 2, 20)
    assert followed(tracker, [large, moved]) == {1: moved}  # the same person, though another is larger
    assert followed(tracker, []) == {}
    assert tracker.main is tracker.seats[0]  # lost a moment ago
    assert tracker.seats[0].window.filled == 1
    assert followed(tracker, [large]) == {2: large}
    assert tracker.seats[0].window.filled == 0
    assert followed(tracker, [large, small]) == {2: large}


def test_several_seats_keep_people_apart() -> None:
    tracker = tracker_of(2)
    left, right, third = face(0, 0, 20), face(100, 0, 20), face(50, 50, 30)
    assert followed(tracker, [left, right]) == {1: left, 2: right}
    crossed = [face(97, 3, 20), face(5, 2, 20)]
    assert followed(tracker, crossed) == {1: crossed[1], 2: crossed[0]}  # by place, not by order
    assert followed(tracker, [third, left, right]) == {1: left, 2: right}  # every seat is taken
    assert followed(tracker, [third, right]) == {2: right, 3: third}  # the first is not in view
    assert tracker.main is not None
    assert tracker.main.track == 2
    assert followed(tracker, [face(2, 2, 20), left, right]).keys() == {2, 4}  # a face takes one seat only


def test_a_gap_ends_a_track() -> None:
    tracker = tracker_of(2)
    left, right = face(0, 0, 20), face(100, 0, 20)
    followed(tracker, [left, right])
    for seat in tracker.seats:
        seat.window.add(sample(0))
    tracker.seats[1].window.add(sample(4))
    assert followed(tracker, [right], 0.6) == {2: right}
    assert tracker.seats[0].box is None
    assert followed(tracker, [left, right], 0.7) == {2: right, 3: left}
    assert followed(tracker, [left, right], 1.5) == {3: left, 4: right}  # still there, but its past is gone


# ---- results


def test_smoothing_goes_by_time() -> None:
    one, other = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    smoother = Smoother(2.0)
    np.testing.assert_array_equal(smoother.update(0.0, one), one)
    np.testing.assert_allclose(smoother.update(2.0, other), [np.exp(-1), 1 - np.exp(-1)], rtol=1e-6)
    fine = Smoother(2.0)
    fine.update(0.0, one)
    for t_s in (0.5, 1.0, 1.5, 2.0):
        steps = fine.update(t_s, other)
    np.testing.assert_allclose(steps, [np.exp(-1), 1 - np.exp(-1)], rtol=1e-5)  # whatever the rate
    smoother.reset()
    np.testing.assert_array_equal(smoother.update(9.0, one), one)
    raw = Smoother(0)
    raw.update(0.0, one)
    np.testing.assert_array_equal(raw.update(0.1, other), other)


def test_json_line_has_the_agreed_fields() -> None:
    line_ = RESULT.to_json()
    assert "\n" not in line_
    assert json.loads(line_) == {
        "t_s": 1.5,
        "frame": 30,
        "face": [1, 2, 30, 40],
        "track": 2,
        "label": "sad",
        "probabilities": {"happy": 0.25, "sad": 0.75},
        "logits": [0.0, 1.1],
        "latency_ms": 12.5,
        "infer_ms": 7.0,
        "dropped": 3,
        "dropped_clips": 1,
    }


def test_json_lines_are_whole_or_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.jsonl"
    with JsonLines(str(path)) as lines:
        lines.write(RESULT)
        assert not path.exists()
    assert len(path.read_text().splitlines()) == 1
    with pytest.raises(ZeroDivisionError), JsonLines(str(path)) as lines:
        lines.write([RESULT][1 // 0])
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.jsonl"]
    assert len(path.read_text().splitlines()) == 1
    with JsonLines("-") as lines:
        lines.write(RESULT)
    assert json.loads(capsys.readouterr().out)["label"] == "sad"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_under_json_is_one_clear_error() -> None:
    with pytest.raises(MediaError, match="No space left"), JsonLines("/dev/full") as lines:
        lines.write(RESULT)


# ---- what people see


def test_annotation_adds_a_strip_and_leaves_the_picture_beside_the_face() -> None:
    frame = np.random.default_rng(0).integers(0, 200, (240, 321, 3), dtype=np.uint8)
    labels = ("happy", "sad")
    before = annotate(frame, Overlay(labels=labels, status="no face, cleared after 0.5 s"))
    np.testing.assert_array_equal(before[:, :321], frame)
    overlay = shown((100, 80, 90, 100))
    after = annotate(frame, overlay)
    assert after.shape == before.shape  # the video keeps its size
    assert after.shape[1] % 2 == 0
    changed = (after[:, :321] != frame).any(axis=2)
    ys, xs = np.nonzero(changed)
    assert 95 <= xs.min() < xs.max() <= 200
    assert ys.max() <= 190
    assert not changed[95:165, 115:175].any()  # the face itself stays visible
    assert (after[:, 321:] != before[:, 321:]).any()
    for box in ((-30, -20, 60, 60), (300, 220, 60, 60), (0, 0, 321, 240)):  # at the rim
        annotate(frame, shown(box))
    annotate(plain((0, 0, 0), 40, 30), overlay)


def test_every_followed_face_is_marked_the_others_dimly() -> None:
    frame = plain((0, 0, 0), 320, 240)
    main = FaceMark(box=(20, 60, 80, 90), label="sad", share=0.75)
    other = FaceMark(box=(200, 60, 80, 90), label="happy", share=0.5, main=False)
    both = annotate(frame, Overlay(labels=("happy", "sad"), faces=(main, other)))[:, :320]
    alone = annotate(frame, Overlay(labels=("happy", "sad"), faces=(main,)))[:, :320]
    np.testing.assert_array_equal(both[:, :180], alone[:, :180])
    assert both[:, 180:].max() > 0
    assert np.ptp(both[:, 180:].max(axis=(0, 1))) < np.ptp(both[:, :180].max(axis=(0, 1)))  # in grey


def shown(box: tuple[int, int, int, int]) -> Overlay:
    return Overlay(
        labels=("happy", "sad"),
        faces=(FaceMark(box=box, label="sad", share=0.75),),
        label="sad",
        probabilities=RESULT.probabilities,
    )


def glimpse(result: LiveResult | None) -> Glimpse:
    stats = LiveStats()
    stats.frame_came()
    stats.frame_analysed(face=True)
    if result is not None:
        stats.result_came(result.latency_ms, result.infer_ms)
    return Glimpse(
        frame=None,
        overlay=Overlay(
            labels=("happy", "sad"),
            faces=(
                FaceMark(box=(1, 2, 30, 40)),
                FaceMark(box=(50, 2, 30, 40), label="happy", share=0.6, main=False),
                FaceMark(box=(90, 2, 30, 40), main=False),
            ),
            status="face found",
        ),
        result=result,
        counts=stats.counts(dropped_frames=3, dropped_clips=1),
    )


def test_panel_and_line_tell_all_that_matters() -> None:
    source = CaptureSource("camera 0", lambda: FakeCapture(1))
    for result, wanted in ((RESULT, ("sad", "75%", "p50 12 ms")), (None, ("face found",))):
        text = io.StringIO()
        RichConsole(file=text, width=100).print(
            panel(glimpse(result), engine="OpenVINO CPU", source=source, labels=("happy", "sad"))
        )
        for part in (
            *wanted,
            "others",
            "happy 60%, collecting",
            "camera 0: opening",
            "3 frames, 1 clips",
            "OpenVINO CPU",
            "frames/s",
        ):
            assert part in text.getvalue()
        assert wanted[0] in line(glimpse(result))
        assert "dropped 3 frames, 1 clips" in line(glimpse(result))


def test_rate_forgets() -> None:
    rate = Rate(over_s=2.0)
    assert rate.per_second(0.0) == 0.0
    for tick in range(21):
        rate.tick(tick / 10)
    assert rate.per_second(2.0) == pytest.approx(10.0, rel=0.06)
    assert rate.per_second(10.0) == 0.0


@pytest.mark.parametrize("wrong", [{"stride": 0}, {"smooth_s": -1.0}, {"face_gap_s": 0.0}, {"max_faces": 0}])
def test_pipeline_config_checks_itself(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="--"):
        PipelineConfig(**wrong)  # type: ignore[arg-type]
