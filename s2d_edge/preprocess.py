"""The face crop: one function for data preparation and for the live host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from s2d_edge.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class CropRecipe:
    """How a face becomes the network's picture.

    Attributes:
        detector: what finds the face.
        alignment: ``eyes`` turns the picture until the eyes are level.
        margin: added around the landmarks' bounding square, as a fraction of its side.
        size: side of the crop, pixels.
    """

    detector: Literal["mediapipe-facemesh"] = "mediapipe-facemesh"
    alignment: Literal["eyes", "none"] = "eyes"
    margin: float = 0.2
    size: int = 224

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= 2:
            raise ConfigError(f"crop.margin={self.margin} must lie in [0, 2]")
        if not 32 <= self.size <= 1024:
            raise ConfigError(f"crop.size={self.size} must lie in [32, 1024] pixels")
