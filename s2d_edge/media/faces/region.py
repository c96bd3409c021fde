"""Turned squares of a frame: what a graph sees of it, and the way back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.media.crop import Picture

# A region is so many times as wide as the face in it, so that the face stays inside while it moves.
# mediapipe/modules/face_landmark/face_landmark_landmarks_to_roi.pbtxt and
# face_detection_front_detection_to_roi.pbtxt: scale_x, scale_y 1.5, square_long.
REGION_SCALE = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A square of a frame.

    Attributes:
        x, y: its centre, pixels.
        side: pixels.
        angle: clockwise turn in the picture, radians.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, low: NDArray[np.float32], high: NDArray[np.float32], eyes: NDArray[np.float32]) -> Region:
        """Return the region around a face, turned so that the line between its eyes is level.

        Args:
            low, high: (2,) float32, corners of the face's box, pixels.
            eyes: (2, 2) float32, a point of the eye on the left of an upright picture, then of the other.
        """
        across = eyes[1] - eyes[0]
        centre = (low + high) / 2
        return cls(
            x=float(centre[0]),
            y=float(centre[1]),
            side=float((high - low).max()) * REGION_SCALE,
            angle=math.atan2(float(across[1]), float(across[0])),
        )

    def cut(self, frame: Picture, size: int, border: int) -> Picture:
        """Resample the region as MediaPipe does: bilinear, without a filter against aliasing.

        Args:
            frame: (H, W, 3) uint8 RGB.
            size: side of the result, pixels.
            border: OpenCV's way of filling places outside the frame.

        Returns:
            (size, size, 3) uint8 RGB.
        """
        step = self._turn * (self.side / size)
        origin = np.array([self.x, self.y]) - step @ np.full(2, size / 2)
        cut: Picture = cv2.warpAffine(
            frame,
            np.column_stack([step, origin]),
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=border,
        )
        return cut

    def to_frame(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the pixels of points inside the region.

        Args:
            points: (…, 2) float32 in [0, 1] across the region; outside of it too.
        """
        placed: NDArray[np.float64] = (points - 0.5) * self.side @ self._turn.T + (self.x, self.y)
        return placed.astype(np.float32)

    @property
    def _turn(self) -> NDArray[np.float64]:
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])

    def overlap(self, other: Region) -> float:
        """Intersection over union of two regions, their turns disregarded, in [0, 1]."""
        wide, high = (
            min(one + self.side / 2, two + other.side / 2) - max(one - self.side / 2, two - other.side / 2)
            for one, two in ((self.x, other.x), (self.y, other.y))
        )
        shared = max(wide, 0.0) * max(high, 0.0)
        return shared / (self.side**2 + other.side**2 - shared)
