"""A whole live run on a drawn camera or a file, and the results it wrote."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Engine
from s2d_edge.core.console import Console
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.io.source import Frame, Source, SourceState
from s2d_edge.firmware_host.live import LiveSummary, stream
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.pipeline import Pipeline
from s2d_edge.media.faces.finder import FaceDetector
from tests.pictures import SquareDetector, with_square

RED, BLUE = (220, 20, 20), (20, 20, 220)
QUIET = Console(quiet=True)
RAW = PipelineConfig(smooth_s=0.0)


class FakeCamera:
    """Frames at a steady pace, whether or not they are read in time."""

    live = True
    fps: float | None = 50.0
    name = "fake camera"

    def __init__(self, frames: int, every_s: float = 0.02) -> None:
        self.state = SourceState.OPENING
        self._frames = frames
        self._every_s = every_s
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._delivered = 0

    def frames(self) -> Iterator[Frame]:
        self.state = SourceState.PLAYING
        start_s = time.perf_counter()
        for index in range(self._frames):
            if self._stopped.wait(max(start_s + index * self._every_s - time.perf_counter(), 0)):
                break
            yield Frame(index, index * self._every_s, with_square(RED), time.perf_counter())
            with self._changed:
                self._delivered += 1
                self._changed.notify_all()
        self.state = SourceState.ENDED

    def stop(self) -> None:
        self._stopped.set()

    def wait_for(self, frames: int) -> None:
        """Wait until so many frames were delivered."""
        with self._changed:
            self._changed.wait_for(lambda: self._delivered >= frames)


def play(
    bundle: Bundle,
    source: Source,
    *,
    detector: FaceDetector | None = None,
    console: Console = QUIET,
    **options: Any,
) -> LiveSummary:
    with open_engine(bundle, "cpu") as engine:
        return stream(
            console,
            source=source,
            detector=detector or SquareDetector(),
            engine=engine,
            recipe=bundle.manifest.crop,
            **({"config": RAW} | options),
        )


def pipeline_of(
    bundle: Bundle, engine: Engine, source: Source, detector: FaceDetector | None = None, **options: Any
) -> Pipeline:
    """A pipeline that is not started yet, without smoothing."""
    return Pipeline(
        source=source,
        detector=detector or SquareDetector(),
        engine=engine,
        recipe=bundle.manifest.crop,
        config=RAW,
        **options,
    )


def results_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
