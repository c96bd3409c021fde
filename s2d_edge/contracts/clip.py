"""One clip: its shape and pace, the recipe of the face crop, and the sampling protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from s2d_edge.core.errors import ConfigError

Protocol = Literal["default", "paper"]
"""``paper`` repeats what the official S2D code does with published datasets: it takes consecutive frames and
the pictures as they are, and chooses the best epoch on the test split."""

HIGHEST_FPS = 240
SMALLEST_PICTURE, LARGEST_PICTURE = 32, 1024  # side, pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSpec:
    """The shape and pace of one clip.

    Attributes:
        frames: T, the number of frames.
        fps: sampling rate, in frames per second.
        size: side of the square frame, in pixels.
    """

    frames: int
    fps: float
    size: int

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise ConfigError(f"frames={self.frames} must be at least 1")
        if not 0 < self.fps <= HIGHEST_FPS:
            raise ConfigError(f"fps={self.fps} must lie in (0, {HIGHEST_FPS}]")
        if not SMALLEST_PICTURE <= self.size <= LARGEST_PICTURE:
            raise ConfigError(f"size={self.size} must lie in [{SMALLEST_PICTURE}, {LARGEST_PICTURE}] pixels")

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last frame of a clip."""
        return (self.frames - 1) / self.fps


@dataclass(frozen=True, slots=True, kw_only=True)
class CropRecipe:
    """The recipe by which a face becomes the network's picture.

    Attributes:
        detector: the face detector.
        alignment: ``eyes`` turns the picture until the eyes are level.
        margin: how much larger than the landmarks' bounding square the crop is, as a fraction of its
            side, half of it on either side.
        size: side of the crop, pixels.
    """

    detector: Literal["mediapipe-facemesh"] = "mediapipe-facemesh"
    alignment: Literal["eyes", "none"] = "eyes"
    margin: float = 0.2
    size: int = 224

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= 2:
            raise ConfigError(f"crop.margin={self.margin} must lie in [0, 2]")
        if not SMALLEST_PICTURE <= self.size <= LARGEST_PICTURE:
            raise ConfigError(
                f"crop.size={self.size} must lie in [{SMALLEST_PICTURE}, {LARGEST_PICTURE}] pixels"
            )


def as_protocol(text: str) -> Protocol:
    """Check the value of ``--protocol``.

    Raises:
        ConfigError: not a known protocol.
    """
    for known in get_args(Protocol):
        if text == known:
            return cast(Protocol, known)
    raise ConfigError(f"--protocol {text!r} must be one of {', '.join(get_args(Protocol))}")
