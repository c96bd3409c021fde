"""The face plane as a grid of pixels to paint on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.avatars.expression import Floats
from s2d_edge.data.avatars.identity import Rgb

_SHIFT = 4  # OpenCV draws at sixteenths of a pixel
_ONE = 1 << _SHIFT

_SHADOW = (0.85, 0.97, 1.0)  # how much of red, green and blue a shadow on skin takes

Mask = NDArray[np.float32]  # (H, W) in [0, 1]


def threefold(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat an (H, W) field for three colours: (H, W, 3). Several times as fast as broadcasting."""
    return np.asarray(cv2.merge([mask, mask, mask]), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Canvas:
    """A window of the face plane, ``density`` pixels per decimetre."""

    density: float
    left: float = -1.3
    right: float = 1.3
    top: float = -1.65
    bottom: float = 1.55

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return (
            int(np.ceil((self.bottom - self.top) * self.density)),
            int(np.ceil((self.right - self.left) * self.density)),
        )

    def axes(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The x of each column and the y of each row, decimetres."""
        rows, columns = self.shape
        x = self.left + np.arange(columns, dtype=np.float32) / np.float32(self.density)
        y = self.top + np.arange(rows, dtype=np.float32) / np.float32(self.density)
        return x.astype(np.float32), y.astype(np.float32)

    def mask(self) -> Mask:
        """An empty mask."""
        return np.zeros(self.shape, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Stroke:
    """A filled polygon of (n, 2) points, or a line of ``width`` decimetres through them.

    A single point of some width is a disc. ``soft`` is the blur in decimetres, ``strength`` the opacity.
    """

    points: Floats
    width: float = 0.0
    soft: float = 0.0
    strength: float = 1.0


class Brush:
    """Draws strokes onto masks and pictures of one canvas, touching only the pixels near the stroke."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._rows, self._columns = canvas.shape
        self._corner = np.array((canvas.left, canvas.top))

    def _fixed(self, points: Floats) -> NDArray[np.int32]:
        """(n, 2) points as OpenCV's fixed-point pixels."""
        at: Floats = (points - self._corner) * (self._canvas.density * _ONE)
        return np.rint(at).astype(np.int32)

    def _patch(self, stroke: Stroke) -> tuple[tuple[slice, slice], Mask] | None:
        """The window of the canvas a stroke reaches, and its opacity there; None when outside."""
        canvas = self._canvas
        fixed = self._fixed(stroke.points)
        x, y, wide, tall = cv2.boundingRect(fixed)
        reach = int((stroke.width / 2 + 3 * stroke.soft) * canvas.density) + 3
        left, top = max((x >> _SHIFT) - reach, 0), max((y >> _SHIFT) - reach, 0)
        right = min(((x + wide) >> _SHIFT) + reach, self._columns)
        bottom = min(((y + tall) >> _SHIFT) + reach, self._rows)
        if right <= left or bottom <= top:
            return None
        fixed[:, 0] -= left << _SHIFT
        fixed[:, 1] -= top << _SHIFT
        patch = np.zeros((bottom - top, right - left), dtype=np.uint8)
        thick = stroke.width * canvas.density
        if len(fixed) == 1:
            centre = (int(fixed[0, 0]), int(fixed[0, 1]))
            cv2.circle(patch, centre, max(round(thick / 2 * _ONE), 1), 255, -1, cv2.LINE_AA, _SHIFT)
        elif stroke.width == 0.0:
            cv2.fillPoly(patch, [fixed], 255, cv2.LINE_AA, _SHIFT)
        else:
            value = int(255 * min(thick, 1.0))  # below one pixel a line gets fainter, not thinner
            cv2.polylines(patch, [fixed], False, value, max(round(thick), 1), cv2.LINE_AA, _SHIFT)
        opacity = patch.astype(np.float32) * np.float32(stroke.strength / 255)
        sigma = stroke.soft * canvas.density
        if sigma > 0.3:
            opacity = cv2.GaussianBlur(opacity, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
        return (slice(top, bottom), slice(left, right)), opacity

    def mask(self, target: Mask, stroke: Stroke) -> None:
        """Add a stroke to a mask, which keeps the stronger of the two."""
        patch = self._patch(stroke)
        if patch is not None:
            window, opacity = patch
            target[window] = np.maximum(target[window], opacity)

    def add(self, target: Mask, stroke: Stroke) -> None:
        """Add a stroke's opacity, of either sign, to a field."""
        patch = self._patch(stroke)
        if patch is not None:
            window, opacity = patch
            target[window] += opacity

    def paint(
        self, picture: NDArray[np.float32], stroke: Stroke, colour: Rgb, within: Mask | None = None
    ) -> None:
        """Lay a stroke of ``colour`` over an (H, W, 3) picture, only ``within`` a mask if given."""
        patch = self._patch(stroke)
        if patch is None:
            return
        window, opacity = patch
        if within is not None:
            opacity = opacity * within[window]
        under = picture[window]
        flat = np.empty_like(under)
        flat[:] = colour
        picture[window] = under + (flat - under) * threefold(opacity)

    def lines(self, target: Mask, strokes: Sequence[Stroke], soft: float) -> None:
        """Draw many lines into a mask at once and blur them together by ``soft`` decimetres."""
        canvas = self._canvas
        faint = np.zeros(canvas.shape, dtype=np.uint8)
        for stroke in strokes:
            thick = stroke.width * canvas.density
            value = int(255 * stroke.strength * min(thick, 1.0))
            line = [self._fixed(stroke.points)]
            cv2.polylines(faint, line, False, value, max(round(thick), 1), cv2.LINE_AA, _SHIFT)
        blurred = cv2.GaussianBlur(faint, (0, 0), max(soft * canvas.density, 0.3))
        np.maximum(target, blurred.astype(np.float32) * np.float32(1 / 255), out=target)

    def darken(self, picture: NDArray[np.float32], mask: Mask) -> None:
        """Darken an (H, W, 3) picture where ``mask`` is, towards a warm shadow."""
        picture *= cv2.merge([1 - np.float32(share) * mask for share in _SHADOW])

    def shade(self, picture: NDArray[np.float32], stroke: Stroke, within: Mask | None = None) -> None:
        """Darken an (H, W, 3) picture by a stroke: at opacity 1 nothing is left but a warm dark tone."""
        patch = self._patch(stroke)
        if patch is None:
            return
        window, opacity = patch
        if within is not None:
            opacity = opacity * within[window]
        picture[window] *= cv2.merge([1 - np.float32(share) * opacity for share in _SHADOW])
