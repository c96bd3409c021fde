"""The protocol of a source of frames: frames with their times, and its state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from s2d_edge.media.crop import Picture


class SourceState(Enum):
    """OPENING -> PLAYING -> ENDED; a live source also goes from PLAYING to RECONNECTING and back."""

    OPENING = "opening"
    PLAYING = "playing"
    RECONNECTING = "lost, reconnecting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a source.

    Attributes:
        index: counts from 0 over everything the source delivered.
        t_s: seconds on the source's clock; for a live source, since its first frame.
        picture: (H, W, 3) uint8 RGB.
        arrived_s: ``time.perf_counter()`` when it was decoded.
    """

    index: int
    t_s: float
    picture: Picture
    arrived_s: float


class Source(Protocol):
    """A stream of frames.

    Attributes:
        name: for people; holds no password.
        live: True when frames come at their own pace, as from a camera; False when they wait to be read.
        fps: nominal frames per second; None when unknown.
        state: one reference, written by the thread that reads the frames; any thread may read it.
    """

    @property
    def name(self) -> str: ...
    @property
    def live(self) -> bool: ...
    @property
    def fps(self) -> float | None: ...
    @property
    def state(self) -> SourceState: ...

    def frames(self) -> Iterator[Frame]:
        """Every frame until the end of the source or :meth:`stop`; called once.

        Raises:
            MediaError: the source cannot be read to its end.
        """
        ...

    def stop(self) -> None:
        """End :meth:`frames` after the current frame; from any thread."""
        ...
