"""The two ways to predict: whole clips, or frame by frame on top of a face's state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Engine, Logits
from s2d_edge.firmware_host.engines.base import stream_of
from s2d_edge.firmware_host.engines.stream import StreamSession
from s2d_edge.firmware_host.pipeline.messages import ClipRequest


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The logits of one clip.

    Attributes:
        logits: (1, K) float32.
        frames: frames that they depend on, at most the model's T.
        warming: True while a stream knows the face for a shorter time than the model's T frames last.
        pace: mean distance of these frames, in periods of the model's rate.
    """

    logits: Logits
    frames: int
    warming: bool
    pace: float


class Predictor(Protocol):
    """Predicts the clips of one face; after a reset, of another.

    Attributes:
        request: frames, size and rate of the clips that it takes.
        request_stride: samples between two clips.
    """

    request: ClipSpec
    request_stride: int

    def predict(self, request: ClipRequest) -> Prediction | None:
        """Predict the next clip of the face, (1, request.frames, S, S, 3) uint8 RGB.

        Returns:
            None where the stride wants no prediction.

        Raises:
            DeviceError: the device fails, or the logits are not finite.
        """
        ...

    def reset(self) -> None:
        """Reset all per-face state; the next clip belongs to another face."""
        ...


class ClipPredictor:
    """Predicts each clip of T samples by itself."""

    def __init__(self, engine: Engine, stride: int) -> None:
        self.request = engine.spec
        self.request_stride = stride
        self._engine = engine

    def predict(self, request: ClipRequest) -> Prediction:
        """Predict a clip; see :meth:`Predictor.predict`."""
        logits = self._engine.infer(request.clip)
        return Prediction(logits, self._engine.spec.frames, warming=False, pace=request.pace)

    def reset(self) -> None:
        """Do nothing: a clip needs no state."""


class StreamPredictor:
    """Steps a stream with each sample, and returns the prediction of every ``stride``-th."""

    def __init__(self, session: StreamSession, spec: ClipSpec, stride: int) -> None:
        self.request = replace(spec, frames=1)
        self.request_stride = 1
        self._session = session
        self._stride = stride
        self._steps = 0

    def predict(self, request: ClipRequest) -> Prediction | None:
        """Predict a clip of one sample; see :meth:`Predictor.predict`."""
        session = self._session
        logits = session.step(request.clip[:, 0], request.last.number)
        self._steps += 1
        if (self._steps - 1) % self._stride:
            return None
        return Prediction(logits, session.seen, session.warming, session.pace)

    def reset(self) -> None:
        """Empty the stream; the next sample gives a prediction."""
        self._session.reset()
        self._steps = 0


def predictor_for(engine: Engine, stride: int) -> Predictor:
    """Make a predictor of the kind that the engine's graph needs, with state of its own."""
    stream = stream_of(engine)
    return ClipPredictor(engine, stride) if stream is None else StreamPredictor(stream, engine.spec, stride)
