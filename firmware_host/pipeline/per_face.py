"""Predictions for several faces, each with model state and smoothing of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Engine, softmax
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.messages import ClipRequest
from s2d_edge.firmware_host.pipeline.predictors import Predictor, predictor_for


class Smoother:
    """Exponential smoothing by time: after ``seconds``, an old value has a weight of 1/e."""

    def __init__(self, seconds: float) -> None:
        """Start without a value; ``seconds`` = 0 does not smooth."""
        self._seconds = seconds
        self._last_s = 0.0
        self._value: NDArray[np.float32] | None = None

    def update(self, t_s: float, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take in (K,) probabilities of time ``t_s``; returns the smoothed (K,), which sum to one too."""
        if self._value is None or self._seconds == 0:
            self._value = probabilities
        else:
            keep = math.exp(-max(t_s - self._last_s, 0.0) / self._seconds)
            self._value = (keep * self._value + (1 - keep) * probabilities).astype(np.float32)
        self._last_s = t_s
        return self._value

    def reset(self) -> None:
        """Forget all values; the next one belongs to another face or time."""
        self._value = None


@dataclass(frozen=True, slots=True, eq=False)
class FacePrediction:
    """The prediction for one face.

    Attributes:
        logits: (K,) float32, of this clip alone.
        probabilities: (K,) float32, smoothed over time.
        frames: frames that the logits depend on, at most the model's T.
        warming: True while a stream knows the face for a shorter time than the model's T frames last.
        pace: mean distance of these frames, in periods of the model's rate.
    """

    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    frames: int
    warming: bool
    pace: float


@dataclass(slots=True, eq=False)
class _Seat:
    """State of the face that holds one seat."""

    predictor: Predictor
    smoother: Smoother
    track: int = 0


class FacePredictors:
    """Predicts clips of several faces in any order; faces share neither model state nor smoothing.

    Attributes:
        request: frames, size and rate of the clips it takes.
        request_stride: samples between two clips of a face.
    """

    def __init__(self, engine: Engine, config: PipelineConfig) -> None:
        """Prepare the first seat; a further one takes memory when its first face comes."""
        self._engine = engine
        self._config = config
        self._seats = [self._new_seat()]
        self.request: ClipSpec = self._seats[0].predictor.request
        self.request_stride = self._seats[0].predictor.request_stride

    def predict(self, request: ClipRequest) -> FacePrediction | None:
        """Predict a clip with the state of its face, which is reset when the track is a new one.

        Returns:
            None where the stride wants no prediction.

        Raises:
            DeviceError: the device fails, or the logits are not finite.
        """
        seat = self._seat_of(request)
        try:
            prediction = seat.predictor.predict(request)
        except Exception:
            seat.track = 0  # its state may be spoilt: the next clip begins with a reset one
            raise
        if prediction is None:
            return None
        logits = prediction.logits[0]
        return FacePrediction(
            logits,
            seat.smoother.update(request.last.t_s, softmax(logits)),
            prediction.frames,
            prediction.warming,
            prediction.pace,
        )

    def _seat_of(self, request: ClipRequest) -> _Seat:
        while len(self._seats) <= request.seat:
            self._seats.append(self._new_seat())
        seat = self._seats[request.seat]
        if seat.track != request.track:
            seat.track = request.track
            seat.predictor.reset()
            seat.smoother.reset()
        return seat

    def _new_seat(self) -> _Seat:
        config = self._config
        return _Seat(predictor_for(self._engine, config.stride), Smoother(config.smooth_s))
