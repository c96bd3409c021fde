"""The two ways to predict: whole clips, or frame by frame on top of a face's state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Clip, Engine, Logits
from s2d_edge.firmware_host.engines.base import stream_of
from s2d_edge.firmware_host.engines.stream import StreamSession


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Logits (1, K), and whether they rest on fewer frames than the model's T."""

    logits: Logits
    warming: bool


class Predictor(Protocol):
    """Predicts the clips of one face; after a reset, of another.

    Attributes:
        request: frames, size and rate of the clips that it takes.
        request_stride: samples between two clips.
    """

    request: ClipSpec
    request_stride: int

    def predict(self, clip: Clip, t_s: float) -> Prediction | None:
        """Predict the next clip of the face.

        Args:
            clip: (1, request.frames, S, S, 3) uint8 RGB.
            t_s: time of its last sample, seconds.

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

    def predict(self, clip: Clip, t_s: float) -> Prediction:
        """Predict a clip; see :meth:`Predictor.predict`."""
        return Prediction(self._engine.infer(clip), warming=False)

    def reset(self) -> None:
        """Do nothing: a clip needs no state."""


class StreamPredictor:
    """Steps a stream with each sample, and returns the prediction of every ``stride``-th."""

    def __init__(self, session: StreamSession, spec: ClipSpec, stride: int) -> None:
        self.request = replace(spec, frames=1)
        self.request_stride = 1
        self._session = session
        self._fps = spec.fps
        self._stride = stride
        self._number = 0
        self._steps = 0
        self._last_s: float | None = None

    def predict(self, clip: Clip, t_s: float) -> Prediction | None:
        """Predict a clip of one sample; see :meth:`Predictor.predict`."""
        if self._last_s is not None:  # a gap of k sample periods makes everything before it k periods older
            self._number += max(1, round((t_s - self._last_s) * self._fps))
        self._last_s = t_s
        logits = self._session.step(clip[:, 0], self._number)
        self._steps += 1
        due = (self._steps - 1) % self._stride == 0
        return Prediction(logits, warming=self._session.warming) if due else None

    def reset(self) -> None:
        """Empty the stream and count samples from 0."""
        self._session.reset()
        self._number = 0
        self._steps = 0
        self._last_s = None


def predictor_for(engine: Engine, stride: int) -> Predictor:
    """Make a predictor of the kind that the engine's graph needs, with state of its own."""
    stream = stream_of(engine)
    return ClipPredictor(engine, stride) if stream is None else StreamPredictor(stream, engine.spec, stride)
