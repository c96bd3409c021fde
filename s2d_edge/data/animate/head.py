"""Small movements of a head, as movements of points in a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.avatars.expression import smoothstep

Floats = NDArray[np.float64]

_HALF_WIDTH, _HALF_HEIGHT = 0.62, 0.78  # of a head, in widths of the face
_DEPTH = 0.45  # the distance by which its middle stands out from its sides, in widths of the face


class Head:
    """An egg-shaped head that moves nearby points with it, and farther ones less."""

    def __init__(self, face: Floats, points: Floats) -> None:
        """Place the head over a face.

        Args:
            face: (468, 2) pixels, the face's points.
            points: (P, 2) pixels, the points that may move.
        """
        self._width = float(np.ptp(face[:, 0]))
        self._from_centre = points - (face.min(axis=0) + face.max(axis=0)) / 2
        size = np.array([_HALF_WIDTH, _HALF_HEIGHT]) * self._width
        distance = np.linalg.norm(self._from_centre / size, axis=1, keepdims=True)  # (P, 1), 1 at the rim
        self._relief = _DEPTH * self._width * np.sqrt(np.clip(1 - distance**2, 0, None))
        self._joins = smoothstep((2.0 - distance) / 0.9)

    def moved(self, turn: Floats, shift: Floats, growth: float) -> Floats:
        """The movement of every point, (P, 2) pixels.

        Args:
            turn: (3,) yaw, pitch, roll, radians.
            shift: (2,) in widths of the face.
            growth: as a fraction.
        """
        yaw, pitch, roll = turn
        cos, sin = np.cos(roll) * (1 + growth), np.sin(roll) * (1 + growth)
        turned = self._from_centre @ np.array([[cos, sin], [-sin, cos]])
        stands_out = self._relief * np.array([np.sin(yaw), np.sin(pitch)])
        moved: Floats = self._joins * (turned - self._from_centre + stands_out + shift * self._width)
        return moved
