"""The result of classifying one clip, or one moment of a stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """An expression and how it was arrived at.

    Attributes:
        label: the predicted label, the one with the highest probability.
        probabilities: of each label, in the model's label order; they sum to 1. Of a clip with two windows
            they are the mean of both; a stream smooths them over time.
        logits: the model's outputs in label order, before the softmax; of two windows the mean, never
            smoothed.
        frames: distinct frames that the prediction rests on.
        faces_found: how many of these were cropped around their own face; 0 where nothing was cropped.
        faces_missed: in how many of these no face was found. Such a frame is cropped where the nearest frame
            of the clip has its face; a clip without any face is used as whole pictures.
        repeated: the clip was shorter than the model's window, so that frames were repeated.
        warming: a stream that knows this face for a shorter time than the model's window lasts.
        pace: mean distance of these frames in time, in periods of the model's rate: 1 where the source keeps
            up with the model, 2 where it is half as fast, so that motion looks twice as quick.
        t_s: time of the last frame, seconds; None for whole clips.
        face: x, y, width and height of the face in the last frame, pixels; None for clips.
        windows_s: the parts of a video that the prediction rests on: begin and end of each window, seconds
            since the first frame. Empty for pictures, folders and streams.
    """

    label: str
    probabilities: dict[str, float]
    logits: tuple[float, ...]
    frames: int
    faces_found: int
    faces_missed: int = 0
    repeated: bool = False
    warming: bool = False
    pace: float = 1.0
    t_s: float | None = None
    face: tuple[int, int, int, int] | None = None
    windows_s: tuple[tuple[float, float], ...] = ()

    @property
    def probability(self) -> float:
        """The probability of the predicted label."""
        return self.probabilities[self.label]

    @property
    def seconds_covered(self) -> float | None:
        """Seconds of a video in its windows, counted once where they overlap; None without a clock."""
        if not self.windows_s:
            return None
        covered, until = 0.0, float("-inf")
        for begin, end in sorted(self.windows_s):
            covered += max(end - max(begin, until), 0.0)
            until = max(until, end)
        return covered
