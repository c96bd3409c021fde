"""Live runs on cameras and under signals: losses, reasons to end, and what is kept."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Clip, Logits
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.io.results import LiveResult
from s2d_edge.firmware_host.pipeline.pipeline import LIVE_FRAMES_QUEUED, LIVE_RECORD_QUEUED
from s2d_edge.media.crop import Picture
from s2d_edge.media.tracking import Box, Face
from s2d_edge.media.video import probe_video, read_video
from tests.firmware_host.live import RED, FakeCamera, pipeline_of, play, results_in
from tests.pictures import SquareDetector, with_square, write_video
from tests.processes import environment, wait_until


class LateDetector(SquareDetector):
    """A face search that looks at its first frame until the camera has delivered ``frames``."""

    def __init__(self, camera: FakeCamera, frames: int) -> None:
        self._camera = camera
        self._frames = frames

    def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
        self._camera.wait_for(self._frames)
        return super().find(frame, followed)


@pytest.mark.slow(seconds=2)
def test_slow_face_search_drops_frames_which_are_recorded_all_the_same(
    bundle: Bundle, tmp_path: Path
) -> None:
    camera = FakeCamera(80)
    summary = play(bundle, camera, detector=LateDetector(camera, 30), save=tmp_path / "out.mp4")
    counts = summary.counts
    assert counts.frames == 80
    assert counts.dropped_frames >= 30 - 1 - LIVE_FRAMES_QUEUED  # one was being searched
    assert counts.analysed == counts.frames - counts.dropped_frames
    written = probe_video(tmp_path / "out.mp4")
    assert written.frames == counts.frames - counts.unwritten_frames
    assert written.frames >= LIVE_RECORD_QUEUED
    if not counts.unwritten_frames:
        assert written.fps == pytest.approx(50, rel=1e-3)  # measured by the camera's clock


@pytest.mark.slow(seconds=3)
def test_slow_model_drops_clips_and_says_how_many(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[LiveResult] = []
    let_go = threading.Event()
    with open_engine(bundle, "cpu") as engine:
        infer = engine.infer

        def late(clip: Clip) -> Logits:
            let_go.wait()
            return infer(clip)

        monkeypatch.setattr(engine, "infer", late)
        pipeline = pipeline_of(bundle, engine, FakeCamera(1_000_000), on_result=results.append)
        pipeline.start()
        wait_until(lambda: pipeline.counts.dropped_clips >= 3)
        let_go.set()
        pipeline.stop()
        pipeline.join()
        counts = pipeline.counts
    assert counts.results == len(results) >= 2  # the one that was held up, and the newest
    assert results[-1].dropped_clips == counts.dropped_clips >= 3
    assert counts.frames == counts.analysed + counts.passed_over + counts.dropped_frames


@pytest.mark.slow(seconds=2)
def test_time_limit_ends_a_camera(bundle: Bundle, tmp_path: Path) -> None:
    summary = play(bundle, FakeCamera(1_000_000), max_seconds=0.8, json=str(tmp_path / "out"))
    assert "--max-seconds" in summary.ended_by
    assert summary.exit_code == 0
    assert summary.counts.frames < 1_000_000
    assert summary.counts.results == len(results_in(tmp_path / "out"))


SIGNALLED = """
import sys
import time
from pathlib import Path
from s2d_edge.firmware_host.live import stream
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.io.file_source import FileSource
from s2d_edge.contracts.bundle import open_bundle
from s2d_edge.core.console import Console
from tests.pictures import SquareDetector

class Slow(SquareDetector):
    def find(self, frame, followed=()):
        time.sleep(0.02)
        return super().find(frame, followed)

folder, bundle = Path(sys.argv[1]), open_bundle(Path(sys.argv[2]))
with open_engine(bundle, "cpu") as engine:
    sys.exit(stream(
        Console(), source=FileSource(folder / "long.avi"), detector=Slow(), engine=engine,
        recipe=bundle.manifest.crop, config=PipelineConfig(), json=sys.argv[3], save=folder / "out.mp4",
    ).exit_code)
"""


@pytest.mark.slow(seconds=7)
@pytest.mark.parametrize(("number", "json_to"), [(signal.SIGINT, "-"), (signal.SIGTERM, "out.jsonl")])
def test_signal_keeps_what_was_done(
    bundle: Bundle, tmp_path: Path, number: signal.Signals, json_to: str
) -> None:
    write_video(tmp_path / "long.avi", [with_square(RED)] * 1500, fps=20)
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SIGNALLED,
            str(tmp_path),
            str(bundle.path),
            json_to.replace("out", f"{tmp_path}/out"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said = process.stdout if json_to == "-" else process.stderr
    first = next(line for line in said if "red" in line)  # a result, not only the begin of the search
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 128 + number
    assert f"ended by {number.name}" in err
    lines = (
        (first + out).splitlines() if json_to == "-" else (tmp_path / "out.jsonl").read_text().splitlines()
    )
    assert lines
    assert all(json.loads(line)["label"] == "red" for line in lines)
    written = probe_video(tmp_path / "out.mp4").frames
    assert 0 < written < 1500
    assert len(list(read_video(tmp_path / "out.mp4"))) == written


KILLED = """
import sys
from pathlib import Path
from s2d_edge.contracts.bundle import open_bundle
from s2d_edge.firmware_host.io.recorder import Recorder
from tests.firmware_host.live import QUIET, FakeCamera, play

write = Recorder.write

def write_and_tell(self, frame, overlay):
    write(self, frame, overlay)
    print(frame.t_s, flush=True)

Recorder.write = write_and_tell
folder = Path(sys.argv[1])
play(
    open_bundle(Path(sys.argv[2])), FakeCamera(1_000_000), console=QUIET,
    json=str(folder / "out.jsonl"), save=folder / "out.mp4",
)
"""


@pytest.mark.slow(seconds=5)
def test_a_killed_run_leaves_its_results_and_a_video_that_plays(bundle: Bundle, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), str(bundle.path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        out = tmp_path / "out.jsonl"
        wait_until(lambda: out.exists() and out.read_bytes().count(b"\n") >= 30, process)
        assert process.stdout is not None
        newest_s = json.loads(out.read_text().splitlines()[29])["t_s"]
        # On a busy machine the recorder is behind the results.
        recorded_s = next(t_s for t_s in map(float, process.stdout) if t_s >= newest_s)
        process.send_signal(signal.SIGKILL)
    *whole, _ = out.read_text().splitlines()
    results = [json.loads(line) for line in whole]
    assert len(results) >= 29
    last_s, _ = list(read_video(tmp_path / "out.mp4"))[-1]
    assert last_s >= recorded_s - 2


STALLED = """
import sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2

from s2d_edge.contracts.bundle import open_bundle
from s2d_edge.firmware_host.io.opening import open_source
from tests.firmware_host.live import RED, play
from tests.pictures import with_square

picture = cv2.imencode(".jpg", with_square(RED)[:, :, ::-1])[1].tobytes()

class Camera(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
        self.end_headers()
        for _ in range(20):
            head = f"--b\\r\\nContent-Type: image/jpeg\\r\\nContent-Length: {len(picture)}\\r\\n\\r\\n"
            self.wfile.write(head.encode() + picture + b"\\r\\n")
        time.sleep(1000)

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
threading.Thread(target=server.serve_forever, daemon=True).start()
source = open_source(f"http://127.0.0.1:{server.server_address[1]}/live")
sys.exit(play(open_bundle(Path(sys.argv[1])), source, max_seconds=1).exit_code)
"""


@pytest.mark.slow(seconds=2)
def test_a_run_ends_well_while_the_stream_stalls(bundle: Bundle) -> None:
    """An interpreter that ends while a thread is in OpenCV's read is aborted."""
    done = subprocess.run(
        [sys.executable, "-c", STALLED, str(bundle.path)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
