"""Messages between the stages of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from s2d_edge.contracts.engine import Clip
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.media.crop import Picture
from s2d_edge.media.tracking import Box

LOOKING = "looking for a face"


@dataclass(frozen=True, slots=True, eq=False)
class SampledFace:
    """The crop of a followed face in a frame that is a sample.

    Attributes:
        number: of the sample on the model's grid.
        t_s: time of the frame, seconds.
        index: number of the frame.
        arrived_s: ``time.perf_counter()`` when the frame was decoded.
        box: where the face is in the frame.
        crop: (S, S, 3) uint8 RGB.
    """

    number: float
    t_s: float
    index: int
    arrived_s: float
    box: Box
    crop: Picture


@dataclass(frozen=True, slots=True, eq=False)
class ClipRequest:
    """A clip that the model is to predict.

    Attributes:
        ticket: counts the requests from 1.
        seat: of the face; each seat has a predictor of its own.
        track: of the face; a new one resets the seat's predictor.
        clip: (1, F, S, S, 3) uint8 RGB; F is the model's T, or 1 for a stream.
        last: its newest sample.
        pace: mean distance of its samples, in periods of the model's rate; 1 for a single one.
        made_s: ``time.perf_counter()`` when it was made.
    """

    ticket: int
    seat: int
    track: int
    clip: Clip
    last: SampledFace
    pace: float
    made_s: float


@dataclass(frozen=True, slots=True, eq=False)
class SearchedFrame:
    """A frame after the face search.

    Attributes:
        faces: boxes of the followed faces in it, by track.
        main: track of the face that is followed longest, also while it is out of view; 0 for none.
        ticket: of the newest request up to this frame.
        status: what the face search sees, for people.
    """

    frame: Frame
    faces: Mapping[int, Box] = field(default_factory=dict)
    main: int = 0
    ticket: int = 0
    status: str = LOOKING
