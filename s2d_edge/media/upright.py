"""Turn frames upright and make their pixels square, as a camera's tags say they are to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from s2d_edge.media.crop import Picture

# Orientations have EXIF's numbers, in videos too: 1 is upright, 2 to 8 are mirrored or turned.
UPRIGHT = 1
TURNED_BY = {0: 1, 90: 6, 180: 3, 270: 8}  # degrees clockwise, to be upright
_ON_THE_SIDE = frozenset({5, 6, 7, 8})  # width and height change places
# A pixel that is said to be wider or higher than this is taken for a damaged tag.
_MOST_OBLONG = 4.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Turn, mirroring and pixel shape with which the frames of a video are to be shown.

    Attributes:
        orientation: 1 to 8, as EXIF numbers them.
        pixel_aspect: width of a pixel over its height, before turning.
    """

    orientation: int = UPRIGHT
    pixel_aspect: float = 1.0

    def show(self, frame: Picture) -> Picture:
        """Square the pixels of a decoded (H, W, 3) uint8 frame, and turn it upright.

        The longer side of a pixel is kept, so that nothing is lost: a frame only grows.
        """
        return turn_upright(self._squared(frame), self.orientation)

    def _squared(self, frame: Picture) -> Picture:
        aspect = self.pixel_aspect
        if aspect == 1 or not 1 / _MOST_OBLONG <= aspect <= _MOST_OBLONG:
            return frame
        height, width = frame.shape[:2]
        size = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
        squared: Picture = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
        return squared


def turn_upright(picture: Picture, orientation: int) -> Picture:
    """Turn and mirror a (H, W, 3) picture by its tag's number; one that is not 2 to 8 changes nothing."""
    turned: Any = picture
    if orientation in _ON_THE_SIDE:
        turned = turned.transpose(1, 0, 2)  # (W, H, 3)
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    return np.ascontiguousarray(turned)
