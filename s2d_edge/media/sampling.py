"""Sample frames in time, by one rule for training, evaluation and the live host.

A clip is T frames spaced ``1 / fps`` seconds apart, whatever the rate of the source. Sample k of a
stream that starts at t0 is due at ``t0 + k / fps``; the frame that serves it is the first one whose
timestamp has reached the due time (less a small tolerance for clock jitter).
"""

from __future__ import annotations

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


class PeriodicSampler:
    """Decides, frame by frame, which frames of a timestamped stream are samples.

    A gap in the source skips the samples it covers: no frame is ever used twice.
    """

    def __init__(self, fps: float) -> None:
        self._period_s = 1.0 / fps
        self._next_due_s: float | None = None

    def due(self, t_s: float) -> bool:
        """True when the frame at ``t_s`` seconds is a sample; call once per frame, in order."""
        if self._next_due_s is None:
            self._next_due_s = t_s + self._period_s
            return True
        if t_s < self._next_due_s - EARLY_TOLERANCE * self._period_s:
            return False
        self._next_due_s += self._period_s
        if self._next_due_s <= t_s:  # the source paused: start a new grid rather than catch up
            self._next_due_s = t_s + self._period_s
        return True


def sample_by_time(stream: Iterable[tuple[float, FrameT]], fps: float) -> Iterator[tuple[float, FrameT]]:
    """Thin ``(timestamp in seconds, frame)`` pairs to at most ``fps`` frames per second."""
    sampler = PeriodicSampler(fps)
    for t_s, frame in stream:
        if sampler.due(t_s):
            yield t_s, frame


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
