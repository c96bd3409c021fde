"""Find a still's face, with lids and lips placed more closely than a crop needs."""

from __future__ import annotations

from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.animate.mesh import EYES, LIPS
from s2d_edge.media.crop import Picture
from s2d_edge.media.faces.finder import FaceFinder
from s2d_edge.media.tracking import box_overlap

Points = NDArray[np.float64]  # (468, 2) pixels

_CLOSELY_PLACED = [*EYES, *LIPS]
_SAME_FACE = 0.5  # overlap of two boxes
_REACH = 0.3  # distance around lids and lips within which the mesh follows them, in widths of the face
_NEAREST = 4  # power of the distance by which the nearer of two lips counts more


class StillFaceFinder:
    """Finds the largest face of unrelated pictures.

    FaceMesh's attention model follows open mouths and shut eyes where the plain one does not, but leaves
    the skin around them where it was, so that a dropped jaw folds the mesh. Here the plain mesh is drawn
    along smoothly to where the attention model sees lids and lips.
    """

    def __init__(self) -> None:
        """Load the models."""
        self._plain = FaceFinder(static=True)
        self._close = FaceFinder(static=True, refined=True)

    def find(self, picture: Picture) -> Points | None:
        """Find the face of a (H, W, 3) uint8 RGB picture: (468, 2) float64 pixels, or None without a face."""
        plain, close = self._plain.find(picture), self._close.find(picture)
        if not plain:
            return None
        points = plain[0].points.astype(np.float64)
        if not close or box_overlap(plain[0].box, close[0].box) < _SAME_FACE:
            return points
        return drawn_along(points, close[0].points.astype(np.float64))

    def close(self) -> None:
        """Free the models."""
        self._plain.close()
        self._close.close()

    def __enter__(self) -> StillFaceFinder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def drawn_along(plain: Points, close: Points) -> Points:
    """Move the rims of eyes and mouth of ``plain`` to their places in ``close``; nearby points follow."""
    anchors = plain[_CLOSELY_PLACED]
    corrections = close[_CLOSELY_PLACED] - anchors
    far = np.linalg.norm(plain[:, None] - anchors, axis=2)  # (468, A)
    width = float(np.ptp(plain[:, 0]))
    near = (far / width + 1e-3) ** -_NEAREST
    fading = np.exp(-0.5 * (far.min(axis=1, keepdims=True) / (_REACH * width)) ** 2)
    drawn: Points = plain + fading * (near / near.sum(axis=1, keepdims=True)) @ corrections
    drawn[_CLOSELY_PLACED] = close[_CLOSELY_PLACED]
    return drawn
