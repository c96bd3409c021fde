"""One bad frame, one odd face, one decoder error never ends a camera; each is counted by its reason."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import cv2
import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Clip, Logits
from s2d_edge.core.errors import DeviceError
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.io.capture_source import MOST_UNREADABLE, CaptureSource
from s2d_edge.firmware_host.io.results import LiveResult
from s2d_edge.firmware_host.pipeline.faults import MOST_IN_A_ROW, OTHER, REASONS_KEPT, Faults
from s2d_edge.firmware_host.pipeline.queues import QueueClosed
from s2d_edge.media.crop import Picture
from s2d_edge.media.tracking import Box, Face
from tests.firmware_host.live import FakeCamera, pipeline_of
from tests.firmware_host.stand_ins import FakeCapture
from tests.pictures import SquareDetector


def failing(error: Exception) -> Any:
    def work() -> None:
        raise error

    return work


def test_faults_are_forgiven_one_by_one_and_counted_by_reason() -> None:
    faults = Faults("frames failed", forgiven=True)
    for _ in range(3 * MOST_IN_A_ROW):
        assert faults.attempt(failing(ValueError("odd"))) is None
        assert faults.attempt(failing(cv2.error("size.height > 0"))) is None
        assert faults.attempt(lambda: 7) == 7
    assert faults.total == 6 * MOST_IN_A_ROW
    assert f"{3 * MOST_IN_A_ROW} × ValueError: odd" in faults.to_text()
    with pytest.raises(QueueClosed):
        faults.attempt(failing(QueueClosed()))
    for _ in range(MOST_IN_A_ROW):
        faults.attempt(failing(ZeroDivisionError("always")))
    with pytest.raises(ZeroDivisionError):
        faults.attempt(failing(ZeroDivisionError("always")))
    with pytest.raises(ValueError, match="odd"):
        Faults("frames failed", forgiven=False).attempt(failing(ValueError("odd")))


def test_reasons_without_end_take_no_memory_without_end() -> None:
    faults = Faults("frames failed", forgiven=True)
    for number in range(1000):
        faults.attempt(failing(ValueError(f"{number} " + "x" * 1000)))
        faults.attempt(lambda: 0)
    assert len(faults.to_text()) < 300 * (REASONS_KEPT + 1)
    assert f"{1000 - REASONS_KEPT} × {OTHER}" in faults.to_text()


class Odd(SquareDetector):
    """Fails at every fourth frame."""

    def __init__(self) -> None:
        self.searched = 0

    def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
        self.searched += 1
        if self.searched % 4 == 0:
            raise ValueError("an odd face")
        return super().find(frame, followed)


def test_a_camera_outlives_bad_frames_and_clips(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[LiveResult] = []
    enough = threading.Event()

    def take(result: LiveResult) -> None:
        results.append(result)
        if len(results) >= 5:
            enough.set()

    with open_engine(bundle, "cpu") as engine:
        predict, calls = engine.infer, 0

        def infer(clip: Clip, **options: Any) -> Logits:
            nonlocal calls
            calls += 1
            if calls % 3 == 0:
                raise DeviceError("the logits are not finite")
            return predict(clip, **options)

        monkeypatch.setattr(engine, "infer", infer)
        pipeline = pipeline_of(bundle, engine, FakeCamera(1_000_000), Odd(), on_result=take)
        pipeline.start()
        enough.wait()
        pipeline.stop()
        pipeline.join()
    counts = pipeline.counts
    assert counts.results == len(results) >= 5
    assert counts.failed_frames > 0
    assert counts.failed_clips > 0
    frames, clips = pipeline.faults()
    assert "ValueError: an odd face" in frames
    assert "DeviceError" in clips


class Cracked(FakeCapture):
    """Cannot decode some of its frames."""

    def __init__(self, frames: int, cracks: int) -> None:
        super().__init__(frames)
        self._cracks = cracks

    def read(self) -> tuple[float, Picture] | None:
        if self._cracks:
            self._cracks -= 1
            raise cv2.error("corrupt")
        return super().read()


@pytest.mark.parametrize(("cracks", "connections"), [(3, 1), (MOST_UNREADABLE, 2)])
def test_a_camera_outlives_errors_of_its_decoder(cracks: int, connections: int) -> None:
    opened: list[Cracked] = []

    def connect() -> Cracked:
        opened.append(Cracked(5, 0 if opened else cracks))
        return opened[-1]

    source = CaptureSource("camera", connect, reconnect_after_s=(0.001,))
    frames = []
    for frame in source.frames():
        frames.append(frame.index)
        if len(frames) == 5:
            source.stop()
    assert frames == [0, 1, 2, 3, 4]
    assert (source.unreadable, len(opened)) == (cracks, connections)
