"""Sample frames in time, by one rule for training, evaluation and the live host.

A clip is T frames spaced ``1 / fps`` seconds apart, whatever the rate of the source. The model's grid starts
with the source's first frame: point k lies ``k / fps`` seconds after it. The sampler gives each sample its
number on this grid, and all that reckons in samples takes the number from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import ConfigError

FrameT = TypeVar("FrameT")

FolderWindows = Literal["spread", "every", "ends"]
"""The windows taken of a frame folder: ``spread``, T frames over all of it, or the official code's windows of
T consecutive frames: ``every`` one that its training draws from, or the two at the ``ends`` that its testing
averages."""

# A frame may come this fraction of a sample period early and still serve the sample: cameras jitter,
# and a source at exactly the sampling rate must not lose every other frame to rounding.
EARLY_TOLERANCE = 0.1
# No sample is further than this from its point of the grid, periods. A source that is hardly faster than the
# grid may come early by more than the tolerance, since its next frame would be later than this.
FURTHEST = 0.5
_ROUNDING = 1e-6  # of timestamps, periods
# A window whose samples lie further apart than this many periods moves visibly slower than the model learned.
SLOW_PACE = 1.2


class PeriodicSampler:
    """Chooses the samples among the frames of a timestamped stream, and numbers them on the model's grid.

    A source that keeps up with the grid serves every point of it once, so its samples have whole numbers. Of
    a slower one every frame is a sample, whose number says where between two points it lies. Numbers follow
    from the time since the first frame, so rounding never adds up. No frame is ever used twice.
    """

    def __init__(self, fps: float) -> None:
        """Start a grid of ``fps`` points per second at the first frame."""
        self._fps = fps
        self._start_s: float | None = None
        self._last_s = 0.0  # of any frame
        self._taken = 0.0

    def number(self, t_s: float) -> float | None:
        """Return the number of the frame at ``t_s`` seconds, None if it is no sample.

        Call it once per frame, in order. The first frame is sample 0. Numbers rise by at least half a period,
        and lie within half a period of the frame.
        """
        if self._start_s is None:
            self._start_s = self._last_s = t_s
            return self._taken
        position = (t_s - self._start_s) * self._fps
        apart = (t_s - self._last_s) * self._fps
        self._last_s = t_s
        early = min(max(apart - FURTHEST, EARLY_TOLERANCE), FURTHEST) + _ROUNDING
        due = math.floor(self._taken + 0.5) + 1
        if position + early < due:
            return None
        keeps_up = apart <= 1 + _ROUNDING
        self._taken = float(max(math.floor(position + 0.5), due)) if keeps_up else position
        return self._taken


def sample_by_time(stream: Iterable[tuple[float, FrameT]], fps: float) -> Iterator[tuple[float, FrameT]]:
    """Thin ``(timestamp in seconds, frame)`` pairs to ``(number on the grid, frame)`` of the samples."""
    sampler = PeriodicSampler(fps)
    for t_s, frame in stream:
        number = sampler.number(t_s)
        if number is not None:
            yield number, frame


def pace_of(first: float, last: float, samples: int) -> float:
    """Return the mean distance of consecutive samples, in periods of the model's rate.

    Args:
        first: number of the first sample on the grid.
        last: number of the last.
        samples: how many there are, both included.

    Returns:
        1 where the source keeps up with the model, more where it is slower; 1 for a single sample.
    """
    return (last - first) / (samples - 1) if samples > 1 else 1.0


def uniform_indices(available: int, wanted: int) -> NDArray[np.int64]:
    """Indices of ``wanted`` frames spread evenly over ``available``, first and last included.

    With fewer frames than wanted, frames repeat; with exactly as many, each is taken once.

    Returns:
        (wanted,) int64, ascending, each in [0, available).
    """
    if available < 1 or wanted < 1:
        raise ConfigError(f"cannot take {wanted} frames of {available}; both must be at least 1")
    return np.linspace(0, available - 1, wanted).round().astype(np.int64)


def window_starts(available: int, frames: int) -> tuple[int, ...]:
    """Starts of the first and the last window of ``frames`` consecutive samples (one if they coincide)."""
    last = max(available - frames, 0)
    return (0,) if last == 0 else (0, last)


def folder_windows(available: int, frames: int, windows: FolderWindows) -> NDArray[np.int64]:
    """Indices of the frames that make up the windows of a folder.

    With too few frames, ``spread`` repeats them evenly and the official code repeats the last one. As there,
    the last window is tested but never drawn in training (unless it is the only one).

    Args:
        available: frames in the folder.
        frames: T, frames of a window.
        windows: the windows to take.

    Returns:
        (W, frames) int64, each in [0, available).
    """
    if windows == "spread":
        if frames == 1:
            return np.array([[(available - 1) // 2]], dtype=np.int64)
        return uniform_indices(available, frames)[None]  # (1, T)
    if windows == "ends":
        starts = np.array(window_starts(available, frames))
    else:
        starts = np.arange(max(available - frames, 1))
    index: NDArray[np.int64] = starts[:, None] + np.arange(frames)  # (W, T)
    return index.clip(max=available - 1)
