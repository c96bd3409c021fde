"""The settings of animated stills."""

from __future__ import annotations

from dataclasses import dataclass

from s2d_edge.core.errors import ConfigError
from s2d_edge.data.avatars.clips import check_timing


@dataclass(frozen=True, slots=True, kw_only=True)
class AnimateSettings:
    """Every setting that a set of animated stills depends on.

    Attributes:
        clips: number of clips of every still; with ``direction`` twice as many of an expression.
        frames: T, frames of every clip.
        fps: frames per second.
        size: longer side of the frames, pixels; None keeps each still's own.
        seed: seed of everything random.
        direction: make two classes of each expression, LABEL-onset and LABEL-offset, whose clips hold the
            same frames in opposite order.
        split: animate this split only.
        limit: animate at most this many stills of each split.
        neutral: the label of faces at rest.
        resting: the set, as ``--data`` takes it, from which faces at rest are learned; None for the stills.
    """

    clips: int = 1
    frames: int = 16
    fps: float = 8.0
    size: int | None = None
    seed: int = 0
    direction: bool = False
    split: str | None = None
    limit: int | None = None
    neutral: str = "neutral"
    resting: str | None = None

    def __post_init__(self) -> None:
        check_timing(frames=self.frames, fps=self.fps)
        if not 1 <= self.clips <= 1000:
            raise ConfigError(f"clips={self.clips} must lie in [1, 1000]")
        if self.size is not None and not 32 <= self.size <= 4096:
            raise ConfigError(f"size={self.size} must lie in [32, 4096] pixels")
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed} must not be negative")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit={self.limit} must be at least 1 still per split")
