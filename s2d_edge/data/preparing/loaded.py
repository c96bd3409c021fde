"""One loaded clip: its distinct frames, its windows, and where their frames lie in time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2d_edge.media.sampling import pace_of


@dataclass(frozen=True, kw_only=True)
class LoadedClip:
    """One clip, ready for an engine.

    Attributes:
        path: the video, picture or folder.
        frames: (F, S, S, 3) uint8 RGB, the distinct frames.
        index: (V, T) int64 into ``frames``, one row per window.
        faces_found: number of distinct frames cropped around their own face; 0 without cropping.
        faces_missed: number of distinct frames without a face; 0 without cropping.
        repeated: True when the clip had fewer than T samples, so that frames repeat. False for a picture,
            which is meant to stand still.
        numbers: (F,) float64, where each frame of a video lies on the model's grid, whose points are
            ``1 / fps`` seconds apart and begin with the first frame; None without a clock.
    """

    path: Path
    frames: NDArray[np.uint8]
    index: NDArray[np.int64]
    faces_found: int
    faces_missed: int
    repeated: bool
    numbers: NDArray[np.float64] | None = None

    @property
    def spans(self) -> list[tuple[float, float]]:
        """Where each window begins and ends on the model's grid; none without a clock."""
        if self.numbers is None:
            return []
        return [(float(self.numbers[row[0]]), float(self.numbers[row[-1]])) for row in self.index]

    @property
    def pace(self) -> float:
        """Mean distance of samples in the slowest window, in periods of the model's rate; 1 with no clock."""
        samples = [len(np.unique(row)) for row in self.index]
        return max(
            (pace_of(*span, count) for span, count in zip(self.spans, samples, strict=False)), default=1.0
        )

    @property
    def window_numbers(self) -> NDArray[np.float64] | None:
        """Where the frames of every window lie on the model's grid, (V, T) float64.

        None where they are a period apart, or have no clock or repeat, and so count as that.
        """
        if self.numbers is None or self.repeated:
            return None
        return unless_even(self.numbers[self.index])

    @property
    def windows(self) -> NDArray[np.uint8]:
        """The frames of every window, (V, T, S, S, 3) uint8 RGB."""
        return self.frames[self.index]


def unless_even(numbers: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(V, T) places on the model's grid; None where all frames are a period apart, to the nearest one."""
    return None if (np.diff(numbers).round() == 1).all() else numbers
