"""A connection, a sampled face, a result, an engine and a console, made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import numpy as np
from rich.console import Console as RichConsole

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Clip, Logits, Numbers
from s2d_edge.core.console import Console
from s2d_edge.firmware_host.io.results import LiveResult
from s2d_edge.firmware_host.pipeline.messages import SampledFace
from s2d_edge.media.crop import Picture
from tests.pictures import plain

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


class FakeCapture:
    """A connection that delivers some frames and then ends, or is lost."""

    def __init__(
        self, came: int, *, recording: bool = False, promised: int = 0, stamped: bool = True
    ) -> None:
        self.fps: float | None = 30.0
        self.recording = recording
        self.shown, self.missing_end = 1.0, ""
        self.frames = promised
        self.released = False
        self._stamped = stamped
        self._left: Iterator[int] = iter(range(came))

    def read(self) -> tuple[float, Picture] | None:
        index = next(self._left, None)
        if index is None:
            return None
        return index / 30 if self._stamped else 0.0, plain((index, 0, 0), 8, 8)

    def release(self) -> None:
        self.released = True


def sample(index: int, fps: float = 10.0, t_s: float | None = None) -> SampledFace:
    at_s = index / fps if t_s is None else t_s
    return SampledFace(at_s * fps, at_s, index, 0.0, (0, 0, 10, 10), plain((index, 0, 0), 32, 32))


def said() -> tuple[Console, StringIO]:
    """A console, and what it prints."""
    text = StringIO()
    console = Console()
    console.rich = RichConsole(file=text, width=400)
    return console, text


class Constant:
    """An engine that predicts the same of every clip."""

    labels = ("happy", "sad")
    description = "constant"

    def __init__(self, spec: ClipSpec) -> None:
        self.spec = spec

    def infer(self, clip: Clip, numbers: Numbers | None = None) -> Logits:
        return np.zeros((1, 2), np.float32)

    def close(self) -> None:
        """Nothing to free."""

    def __enter__(self) -> Constant:
        return self

    def __exit__(self, *exit_info: object) -> None:
        self.close()
