"""Cameras, files and face searches slower than the model: results, pace, and the frame that is searched."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.io.file_source import FileSource
from s2d_edge.firmware_host.io.source import Frame, SourceState
from s2d_edge.media.crop import Picture
from s2d_edge.media.tracking import Box, Face
from tests.firmware_host.live import RED, pipeline_of, play, results_in
from tests.firmware_host.stand_ins import said
from tests.pictures import SquareDetector, with_square, write_video

T, RATE = 4, 10.0  # of the bundle


class Clocked:
    """A still face at given times, which waits to be read."""

    live = False
    fps: float | None = None
    name = "clocked"

    def __init__(self, times: Sequence[float]) -> None:
        self.state = SourceState.PLAYING
        self._times = times

    def frames(self) -> Iterator[Frame]:
        for index, t_s in enumerate(self._times):
            yield Frame(index, t_s, with_square(RED), 0.0)

    def stop(self) -> None:
        """The frames end by themselves."""


@pytest.mark.parametrize("fps", [0.2, 1.5, 6.0, 8.0])
def test_a_source_slower_than_the_model_gives_a_result_a_frame(
    bundle: Bundle, tmp_path: Path, fps: float
) -> None:
    """A minute of a still face: one track, and a result for every frame once T were seen."""
    out = tmp_path / "out.jsonl"
    console, text = said()
    times = [index / fps for index in range(max(int(60 * fps), 12))]
    summary = play(bundle, Clocked(times), json=str(out), console=console)
    results = results_in(out)
    assert [each["frame"] for each in results] == list(range(T - 1, len(times)))
    assert {each["track"] for each in results} == {1}
    assert [each.get("pace") for each in results] == pytest.approx(
        [RATE / fps if RATE / fps > 1.2 else None] * len(results), rel=1e-3
    )
    assert summary.counts.slow_results == sum("pace" in each for each in results)
    warnings = [line for line in text.getvalue().splitlines() if '"pace"' in line]
    assert len(warnings) == (1 if summary.counts.slow_results else 0)
    assert str(summary.counts.slow_results) in summary.to_text()


@pytest.mark.parametrize("fps", [10.0, 24.0, 25.0, 30.0, 60.0, 240.0, 300.0])
def test_a_source_as_fast_as_the_model_has_no_pace(bundle: Bundle, tmp_path: Path, fps: float) -> None:
    out = tmp_path / "out.jsonl"
    console, text = said()
    summary = play(
        bundle, Clocked([index / fps for index in range(int(3 * fps))]), json=str(out), console=console
    )
    results = results_in(out)
    assert len(results) == pytest.approx(30 - T + 1, abs=1)
    assert not any("pace" in each for each in results)
    assert summary.counts.slow_results == 0
    assert '"pace"' not in text.getvalue()


def test_a_file_slower_than_the_model_says_so(bundle: Bundle, tmp_path: Path) -> None:
    clip = write_video(tmp_path / "slow.avi", [with_square(RED)] * 12, fps=5)
    out = tmp_path / "out.jsonl"
    console, text = said()
    play(bundle, FileSource(clip), json=str(out), console=console)
    assert [each["pace"] for each in results_in(out)] == pytest.approx([2.0] * 9)
    assert text.getvalue().count('say "pace"') == 1


def test_the_pace_rises_and_falls_with_the_source(bundle: Bundle, tmp_path: Path) -> None:
    """From 30 to 5 frames a second and back, as cameras do when it gets dark."""
    times = [index / 30 for index in range(60)]
    times += [times[-1] + (index + 1) / 5 for index in range(10)]
    times += [times[-1] + (index + 1) / 30 for index in range(60)]
    out = tmp_path / "out.jsonl"
    console, text = said()
    play(bundle, Clocked(times), json=str(out), console=console)
    paces = [each.get("pace", 1.0) for each in results_in(out)]
    assert paces[:17] == [1.0] * 17
    assert 2.0 <= max(paces) < 2.3
    assert paces[-17:] == [1.0] * 17
    assert {each["track"] for each in results_in(out)} == {1}
    assert text.getvalue().count('say "pace"') == 1  # once


class NumberedCamera:
    """A camera that marks each frame with its number, and delivers the next ones during a slow search."""

    live = True
    fps: float | None = 30.0
    name = "numbered"
    every = 7  # frames come while one is searched

    def __init__(self) -> None:
        self.state = SourceState.PLAYING
        self._frames = 0
        self._wanted = threading.Semaphore(1)
        self._stopped = threading.Event()
        self.delivered = threading.Semaphore(0)

    def frames(self) -> Iterator[Frame]:
        while not self._stopped.is_set():
            self._wanted.acquire()
            picture = with_square(RED)
            picture[0, 0] = self._frames
            yield Frame(self._frames, self._frames / 30, picture, 0.0)
            self._frames += 1
            self.delivered.release()  # called when the frame before was handed on

    def deliver(self, frames: int) -> None:
        """Have so many frames handed on."""
        for _ in range(frames):
            self._wanted.release()
        for _ in range(frames):
            self.delivered.acquire()

    def stop(self) -> None:
        self._stopped.set()
        self._wanted.release()


def test_a_slow_search_takes_the_newest_frame(bundle: Bundle) -> None:
    """Frames that come during a search are dropped, all but the last."""
    camera = NumberedCamera()
    searched: list[int] = []
    enough = threading.Event()

    class Search(SquareDetector):
        def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
            searched.append(int(frame[0, 0, 0]))
            if len(searched) == 1:
                camera.delivered.acquire()  # this frame itself
            if len(searched) > 6:
                enough.set()
            else:
                camera.deliver(camera.every)
            return super().find(frame, followed)

    with open_engine(bundle, "cpu") as engine:
        pipeline = pipeline_of(bundle, engine, camera, Search())
        pipeline.start()
        enough.wait()
        pipeline.stop()
        pipeline.join()
    assert searched[:7] == [camera.every * search for search in range(7)]
    assert pipeline.counts.dropped_frames == 6 * (camera.every - 1)
