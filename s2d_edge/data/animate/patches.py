"""Triangles that show other places of a picture, painted into a part of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Shifts = NDArray[np.float32]  # (H, W, 2) pixels

_SUBPIXEL_BITS = 4  # OpenCV's corners are whole numbers; these share their bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of the picture, resolved more finely than the picture.

    Attributes:
        left, top, width, height: pixels of the picture.
        fineness: the window's pixels along one of the picture's.
    """

    left: int
    top: int
    width: int
    height: int
    fineness: int

    def around(self, points: Floats, margin: float) -> Window | None:
        """The part of this window around the points, twice as fine; None when no part lies inside."""
        low = np.floor(points.min(axis=0) - margin).astype(int)
        high = np.ceil(points.max(axis=0) + margin).astype(int)
        left, top = (max(0, int(value)) for value in low)
        width, height = min(self.width, int(high[0])) - left, min(self.height, int(high[1])) - top
        if width < 1 or height < 1:
            return None
        return Window(left=left, top=top, width=width, height=height, fineness=2 * self.fineness)

    @property
    def centres(self) -> NDArray[np.float32]:
        """Places of its pixels' centres in the picture, (h, w, 2); whole numbers are corners."""
        across, down = (
            np.arange(begin + 0.5 / self.fineness, begin + side, 1 / self.fineness, np.float32)
            for begin, side in ((self.left, self.width), (self.top, self.height))
        )
        return np.dstack(np.meshgrid(across, down))

    def pixels(self, points: Floats) -> Floats:
        """Convert points of the picture to pixels of the window; whole numbers are centres, as in OpenCV."""
        placed: Floats = (points - (self.left, self.top)) * self.fineness - 0.5
        return placed

    def touches(self, triangles: Floats) -> NDArray[np.bool_]:
        """True for each of (F, 3, 2) triangles whose bounding box meets the window, (F,)."""
        low, high = triangles.min(axis=1), triangles.max(axis=1)
        across = (high[:, 0] >= self.left) & (low[:, 0] <= self.left + self.width)
        down = (high[:, 1] >= self.top) & (low[:, 1] <= self.top + self.height)
        meets: NDArray[np.bool_] = across & down
        return meets


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """Moved triangles.

    Attributes:
        shown: (F, 3, 2) pixels, their places in the moved picture.
        solid: (F,) True for triangles that are painted.
        table: (F + 1, 5, 2) terms of a pixel's shift: per x, per y, constant, least and most. The last row is
            for pixels outside every triangle.
    """

    shown: Floats
    solid: NDArray[np.bool_]
    table: NDArray[np.float32]

    def shifts(self, window: Window) -> Shifts:
        """Shift from each pixel of the window to the place that it shows, (h, w, 2) pixels of the picture."""
        owner = np.full((window.height * window.fineness, window.width * window.fineness), -1, np.int32)
        corners = np.round(window.pixels(self.shown) * 2**_SUBPIXEL_BITS).astype(np.int32)
        for number in np.flatnonzero(self.solid & window.touches(self.shown)):
            cv2.fillConvexPoly(owner, corners[number], int(number), cv2.LINE_8, _SUBPIXEL_BITS)
        per_x, per_y, start, least, most = np.moveaxis(self.table[owner], 2, 0)  # each (h, w, 2)
        x, y = np.moveaxis(window.centres, 2, 0)[..., None]
        # A pixel that only touches a triangle lies a little outside it, where a sliver's slope runs away.
        shifts: Shifts = np.minimum(np.maximum(per_x * x + per_y * y + start, least), most)
        return shifts
