"""The result about one face at one time."""

from __future__ import annotations

import json
from dataclasses import dataclass

from s2d_edge.media.sampling import SLOW_PACE
from s2d_edge.media.tracking import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveResult:
    """The model's prediction for one face and the clip that ends with one frame.

    Attributes:
        t_s: time of that frame on the source's clock, seconds.
        frame: its number.
        face: box in that frame: x, y, width, height, pixels.
        track: number of the face among those followed so far, from 1.
        label: the most probable class.
        probabilities: of each class, smoothed over time.
        logits: of this clip alone, in label order.
        latency_ms: from the decoding of that frame to this result; for a file it includes waiting in queues.
        infer_ms: part of the latency that the model took.
        dropped: frames not searched so far, because the face search was slower than the camera.
        dropped_clips: clips not predicted so far, because the model was slower than the samples.
        warming: True while a stream knows this face for a shorter time than the model's T frames last.
        pace: mean distance of the clip's samples in time, in periods of the model's rate. Above 1.2 the
            source or the face search is slower than what the model learned: motion looks quicker than it is.
    """

    t_s: float
    frame: int
    face: Box
    track: int
    label: str
    probabilities: dict[str, float]
    logits: tuple[float, ...]
    latency_ms: float
    infer_ms: float
    dropped: int
    dropped_clips: int
    warming: bool = False
    pace: float = 1.0

    def to_json(self) -> str:
        """The result as one line of JSON; ``warming`` only where it is true, ``pace`` only above 1.2."""
        return json.dumps(
            {
                "t_s": round(self.t_s, 4),
                "frame": self.frame,
                "face": list(self.face),
                "track": self.track,
                "label": self.label,
                "probabilities": {label: round(p, 6) for label, p in self.probabilities.items()},
                "logits": [round(logit, 6) for logit in self.logits],
                "latency_ms": round(self.latency_ms, 2),
                "infer_ms": round(self.infer_ms, 2),
                "dropped": self.dropped,
                "dropped_clips": self.dropped_clips,
            }
            | ({"warming": True} if self.warming else {})
            | ({"pace": round(self.pace, 3)} if self.pace > SLOW_PACE else {}),
            allow_nan=False,
            ensure_ascii=False,
        )
