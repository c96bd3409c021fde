"""Inputs of a graph for calibration: clips, or steps of a stream with their state.

NNCF iterates over the feeds more than once, so each iteration starts from the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Advance
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.engines.stream import StreamSession

Feed = dict[str, NDArray[Any]]  # the graph's inputs by name

_STEPS = 4  # of a clip, for a stream


class Feeds(Protocol):
    """Feeds that can be iterated over repeatedly."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Feed]: ...


@contextmanager
def feeds_of(bundle: Bundle, clips: Sequence[Clip], steps: int = _STEPS) -> Iterator[Feeds]:
    """Yield an FP32 bundle's feeds on clips, (1, T, S, S, 3) uint8 each; for a stream ``steps`` of each."""
    if bundle.manifest.mode == "window":
        yield WindowFeeds(clips, bundle.manifest.inputs[0].name)
        return
    with open_engine(bundle, "cpu") as engine:
        yield StreamFeeds(clips, engine.open_stream(), steps)


class WindowFeeds:
    """One feed for each clip."""

    def __init__(self, clips: Sequence[Clip], name: str) -> None:
        self._clips = clips
        self._name = name

    def __len__(self) -> int:
        return len(self._clips)

    def __iter__(self) -> Iterator[Feed]:
        for clip in self._clips:
            yield {self._name: clip}


class StreamFeeds:
    """Steps of each clip with the state that the FP32 graph has there: evenly spread, including the last.

    A state of zeros would give the quantizers ranges that no stream has.
    """

    def __init__(self, clips: Sequence[Clip], session: StreamSession, steps: int = _STEPS) -> None:
        self._clips = clips
        self._session = session
        self._steps = steps

    def __len__(self) -> int:
        return sum(len(_steps_of(clip, self._steps)) for clip in self._clips)

    def __iter__(self) -> Iterator[Feed]:
        for clip in self._clips:
            kept = _steps_of(clip, self._steps)
            self._session.reset()
            for number in range(clip.shape[1]):
                frame = np.ascontiguousarray(clip[:, number])
                if number in kept:
                    yield self._session.feed(frame, number)
                self._session.step(frame, number)


def _steps_of(clip: Clip, steps: int) -> set[int]:
    """Return the indices of the frames that are fed: ``steps`` of them, or all of a shorter clip."""
    frames = clip.shape[1]
    return (
        {(step * frames) // steps - 1 for step in range(1, steps + 1)}
        if frames > steps
        else set(range(frames))
    )


class Counted:
    """Feeds that report progress."""

    def __init__(self, feeds: Feeds, advance: Advance) -> None:
        self._feeds = feeds
        self._advance = advance

    def __iter__(self) -> Iterator[Feed]:
        for feed in self._feeds:
            yield feed
            self._advance(1)
