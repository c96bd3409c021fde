"""What the stages of the pipeline hand each other, and show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from s2d_edge.contracts.engine import Clip
from s2d_edge.firmware_host.io.annotate import Overlay
from s2d_edge.firmware_host.io.results import LiveResult
from s2d_edge.firmware_host.io.sources import Frame
from s2d_edge.firmware_host.pipeline.stats import Counts
from s2d_edge.firmware_host.pipeline.tracking import Box
from s2d_edge.firmware_host.pipeline.window import SampledFace


class FrameSink(Protocol):
    """Takes every frame of the source, in order, with what is to be drawn on it."""

    def write(self, frame: Frame, overlay: Overlay) -> None:
        """Take one frame."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ClipRequest:
    """A clip on its way to the model.

    ``ticket`` numbers the clips from 1; ``seat`` and ``track`` tell whose it is: answers about different
    faces share no past and are not smoothed together.
    """

    ticket: int
    seat: int
    track: int
    clip: Clip
    last: SampledFace


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """A frame after the face search.

    Attributes:
        faces: boxes of the followed faces in it, by track.
        main: track of the face that is followed longest, in this frame or lost a moment ago; 0 for none.
        ticket: of the newest clip up to this frame.
        status: what the face search sees, for people.
    """

    frame: Frame
    faces: Mapping[int, Box]
    main: int
    ticket: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """What there is to see at this moment, for the panel and the window."""

    frame: Frame | None
    overlay: Overlay
    result: LiveResult | None
    counts: Counts
