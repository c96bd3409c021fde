"""One face, followed through frames as they come."""

from __future__ import annotations

import math
import time
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from s2d_edge.api.prediction import Prediction
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.engine import Engine
from s2d_edge.core.errors import MediaError, S2DEdgeError
from s2d_edge.firmware_host.face_finder import open_face_finder
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.following import FaceFollower
from s2d_edge.firmware_host.pipeline.per_face import FacePredictors


class Stream:
    """Classifies the expression of one face while its frames come; made by :meth:`Model.stream`.

    It finds the face, samples the frames at the model's rate, and predicts as ``s2d-edge run`` does. The
    state of the face is reset when the face was gone for longer than ``face_gap_s``, or another one takes its
    place.
    """

    def __init__(
        self,
        engine: Engine,
        crop: CropRecipe,
        bundle: Bundle | None,
        *,
        stride: int,
        smooth_s: float,
        face_gap_s: float,
        face_device: str,
    ) -> None:
        """Load the face finder; see :meth:`Model.stream` for the settings."""
        config = PipelineConfig(stride=stride, smooth_s=smooth_s, face_gap_s=face_gap_s)
        self._labels = engine.labels
        self._predictors = FacePredictors(engine, config)
        self._finder = open_face_finder(config, bundle, engine, device=face_device)
        self._follower = FaceFollower(self._finder, self._predictors, config, spec=engine.spec, recipe=crop)
        self._pushed = 0
        self._last_s = -np.inf
        self._closed = False
        self._track = 0
        self._warming = True

    @property
    def warming(self) -> bool:
        """True until the model knows this face for the time of a whole window of T frames."""
        return self._warming

    def push(self, frame: NDArray[np.uint8], t_s: float) -> Prediction | None:
        """Take the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            t_s: its time in seconds, on any clock; rises from frame to frame.

        Returns:
            A prediction where one is due; None where the frame is no sample at the model's rate or the
            stride, where no face is in view, and while the window of a model of whole windows is not full.

        Raises:
            MediaError: a frame of another shape or type, or a time that does not rise.
            DeviceError: the device fails.
        """
        require_rgb(frame)
        if self._closed:
            raise S2DEdgeError("this stream is closed; open another with model.stream()")
        if not self._last_s < t_s < math.inf:
            before = f" came after one of {self._last_s} s" if self._pushed else ""
            raise MediaError(f"a frame of {t_s} s{before}; give finite times in seconds that rise")
        self._last_s = t_s
        taken = Frame(index=self._pushed, t_s=t_s, picture=frame, arrived_s=time.perf_counter())
        self._pushed += 1
        followed = self._follower.follow(taken)
        if followed is None:
            return None
        if self._follower.tracker.main != self._track:
            self._track, self._warming = self._follower.tracker.main, True
        for request in followed.requests:  # one at most: one face is followed
            prediction = self._predictors.predict(request)
            if prediction is None:
                continue
            self._warming = prediction.warming
            probabilities = prediction.probabilities
            return Prediction(
                label=self._labels[int(probabilities.argmax())],
                probabilities=dict(zip(self._labels, probabilities.tolist(), strict=True)),
                logits=tuple(prediction.logits.tolist()),
                frames=prediction.frames,
                faces_found=prediction.frames,
                warming=prediction.warming,
                pace=prediction.pace,
                t_s=t_s,
                face=request.last.box,
            )
        return None

    def close(self) -> None:
        """Free the face finder; the model stays open."""
        if not self._closed:
            self._closed = True
            self._finder.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def require_rgb(frame: object) -> None:
    """See that a frame is an (H, W, 3) uint8 RGB array.

    Raises:
        MediaError: it is something else.
    """
    if isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == np.uint8:
        return
    what = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
    raise MediaError(
        f"a frame is {what}; give an (H, W, 3) array of dtype uint8, colours in the order R, G, B"
    )
