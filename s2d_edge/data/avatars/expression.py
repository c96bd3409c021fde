"""The action units of the seven expressions.

Action units are those of the Facial Action Coding System (Ekman and Friesen); the compositions follow
EMFACS, a little exaggerated. Surprise and fear are one and the same startled face: they differ only in the
order of their frames (see ``motion``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LABELS: Final = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")

# 1 inner brow up, 2 outer brow up, 4 brows down and together, 5 upper lid up, 6 cheek up, 7 lids tight,
# 9 nose wrinkled, 10 upper lip up, 12 lip corners up, 15 lip corners down, 17 chin up, 20 lips stretched,
# 23 lips tight, 25 lips part, 26 jaw drops, 43 eyes close.
UNITS: Final = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 17, 20, 23, 25, 26, 43)
_ROW: Final = {unit: row for row, unit in enumerate(UNITS)}

_STARTLED: Final = {1: 1.0, 2: 0.9, 5: 1.0, 20: 0.25, 25: 0.6, 26: 0.95}
EXPRESSIONS: Final[dict[str, dict[int, float]]] = {
    "happy": {6: 0.8, 7: 0.2, 12: 1.0, 25: 0.7},
    "sad": {1: 0.95, 4: 0.45, 7: 0.25, 15: 1.0, 17: 0.7, 43: 0.25},
    "neutral": {},
    "angry": {4: 1.0, 5: 0.35, 7: 0.55, 17: 0.25, 23: 1.0},
    "surprise": _STARTLED,
    "disgust": {4: 0.5, 6: 0.4, 7: 0.55, 9: 1.0, 10: 1.0, 15: 0.35, 25: 0.45},
    "fear": _STARTLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceMotion:
    """The state of a face in one frame.

    Attributes:
        units: (16, 2) intensities in [0, ~1.2] in the order of ``UNITS``; columns are the picture's left
            and right half of the face.
        gaze: right and down, each in [-1, 1].
        yaw, pitch, roll: turn of the head, radians; yaw to the picture's right, pitch down, roll clockwise.
        shift: shift of the head in the picture, as a fraction of its side (right, down).
        noise_seed: seed of the sensor noise in this frame.
    """

    units: Floats
    gaze: tuple[float, float]
    yaw: float
    pitch: float
    roll: float
    shift: tuple[float, float]
    noise_seed: int

    def unit(self, number: int) -> Floats:
        """Intensity of one action unit, (2,), the picture's left half first."""
        half: Floats = self.units[_ROW[number]]
        return half

    def mean(self, number: int) -> float:
        """Intensity of one action unit, both halves averaged."""
        return float(self.unit(number).mean())


def smoothstep(x: Floats) -> Floats:
    """Smooth cubic step: 0 below 0, 1 above 1."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def unit_row(number: int) -> int:
    """Row of action unit ``number`` in ``FaceMotion.units``."""
    return _ROW[number]
