"""The model stage's two ways of answering: clips, or frames on top of what a face left behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Clip, Engine, Logits
from s2d_edge.firmware_host.engines.base import stream_of
from s2d_edge.firmware_host.engines.stream import StreamSession


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Logits (1, K), and whether they rest on fewer frames than the model's T."""

    logits: Logits
    warming: bool


class Answerer(Protocol):
    """Answers the requests of one face after another.

    Attributes:
        request: the samples that one request holds.
        request_stride: samples between requests.
    """

    request: ClipSpec
    request_stride: int

    def answer(self, clip: Clip, t_s: float) -> Answer | None:
        """Answer (1, request.frames, S, S, 3) uint8 whose last sample is of time ``t_s``; None if not due."""
        ...

    def start_over(self) -> None:
        """What comes now is about another face."""
        ...


class ClipAnswerer:
    """Every request is a whole clip."""

    def __init__(self, engine: Engine, stride: int) -> None:
        self.request = engine.spec
        self.request_stride = stride
        self._engine = engine

    def answer(self, clip: Clip, t_s: float) -> Answer:
        return Answer(self._engine.infer(clip), warming=False)

    def start_over(self) -> None:
        """A clip stands for itself."""


class StreamAnswerer:
    """Every request is one sample; the face's rings hold the rest. Each is stepped, every stride-th told."""

    def __init__(self, session: StreamSession, spec: ClipSpec, stride: int) -> None:
        self.request = replace(spec, frames=1)
        self.request_stride = 1
        self._session = session
        self._fps = spec.fps
        self._stride = stride
        self._number = 0
        self._steps = 0
        self._last_s: float | None = None

    def answer(self, clip: Clip, t_s: float) -> Answer | None:
        if self._last_s is not None:  # a gap of k sample periods makes everything before it k periods older
            self._number += max(1, round((t_s - self._last_s) * self._fps))
        self._last_s = t_s
        logits = self._session.step(clip[:, 0], self._number)
        self._steps += 1
        due = (self._steps - 1) % self._stride == 0
        return Answer(logits, warming=self._session.warming) if due else None

    def start_over(self) -> None:
        self._session.reset()
        self._number = 0
        self._steps = 0
        self._last_s = None


def answerer_of(engine: Engine, stride: int) -> Answerer:
    """The way the engine's graph answers."""
    stream = stream_of(engine)
    return ClipAnswerer(engine, stride) if stream is None else StreamAnswerer(stream, engine.spec, stride)
