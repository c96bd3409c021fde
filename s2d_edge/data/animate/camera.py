"""A simulated camera: drifting light, slipping focus, something that passes in front."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.avatars.motion import wander
from s2d_edge.media.crop import Picture

Floats = NDArray[np.float64]

_BLURRED, _OCCLUDED = 0.3, 0.15  # shares of clips
_QUALITY = (60, 96)  # of the JPEG files of a clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Passer:
    """A blurred ellipse that crosses the picture between two moments.

    Attributes:
        begin, end: places outside the picture where its centre enters and leaves, in sides of the picture.
        size: half axes, in sides of the picture.
        spot: the place in the picture whose colour it has, in sides of the picture.
        at: (T,) progress, 0 when it enters and 1 when it leaves.
    """

    begin: tuple[float, float]
    end: tuple[float, float]
    size: tuple[float, float]
    spot: tuple[float, float]
    at: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """The camera's settings for each frame; none changes the apex.

    Attributes:
        gain: (T,) change of the picture's brightness, as a fraction.
        slope: (T, 2) additional change to the right and downwards, over half a side.
        blur: (T,) standard deviation, as a fraction of the shorter side.
        passer: the ellipse that passes in front, or None.
        quality: JPEG quality of all frames.
    """

    gain: Floats
    slope: Floats
    blur: Floats
    passer: Passer | None
    quality: int

    def take(self, picture: Picture, frame: int) -> Picture:
        """Apply the camera to a (H, W, 3) uint8 RGB picture; at the apex it is returned unchanged."""
        height, width = picture.shape[:2]
        taken = picture.astype(np.float32)
        x = np.linspace(-1, 1, width, dtype=np.float32)[:, None]  # (W, 1)
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]  # (H, 1, 1)
        right, down = (float(value) for value in self.slope[frame])
        taken *= 1 + float(self.gain[frame]) + right * x + down * y
        sigma = float(self.blur[frame]) * min(height, width)
        if sigma > 0.05:
            taken = cv2.GaussianBlur(taken, (0, 0), sigma)
        if self.passer is not None and 0 < self.passer.at[frame] < 1:
            taken = _behind(taken, self.passer, float(self.passer.at[frame]))
        shown: Picture = np.clip(np.rint(taken), 0, 255).astype(np.uint8)
        return shown


def plan_camera(rng: np.random.Generator, *, frames: int, fps: float, apex: int) -> Camera:
    """Draw a camera for one clip at random."""
    seconds = np.arange(frames) / fps

    def returning(size: float) -> Floats:
        moved = wander(rng, seconds, size)
        moved -= moved[apex]
        return moved

    blurred, occluded = rng.random() < _BLURRED, rng.random() < _OCCLUDED
    return Camera(
        gain=returning(0.1),
        slope=np.stack([returning(0.1), returning(0.06)], axis=1),
        blur=np.abs(returning(0.006 * blurred)),
        passer=_passer(rng, seconds, apex) if occluded else None,
        quality=int(rng.integers(*_QUALITY)),
    )


def _passer(rng: np.random.Generator, seconds: Floats, apex: int) -> Passer:
    """An ellipse that passes before the apex or after it, on the side with more time."""
    size = rng.uniform(0.08, 0.22, 2)
    ends = [(-0.5, float(rng.uniform(0.1, 1.1))), (1.5, float(rng.uniform(0.1, 1.1)))]
    begin, end = ends if rng.random() < 0.5 else ends[::-1]
    early = apex > len(seconds) // 2
    low, high = (seconds[0], seconds[apex]) if early else (seconds[apex], seconds[-1])
    lasts = rng.uniform(0.6, 1.0) * (high - low)
    starts = rng.uniform(low, high - lasts)
    return Passer(
        begin=begin,
        end=end,
        size=(float(size[0]), float(size[1])),
        spot=(float(rng.random()), float(rng.random())),
        at=np.clip((seconds - starts) / max(lasts, 1e-9), 0, 1),
    )


def _behind(picture: NDArray[np.float32], passer: Passer, at: float) -> NDArray[np.float32]:
    height, width = picture.shape[:2]
    across, down = (a + (b - a) * at for a, b in zip(passer.begin, passer.end, strict=True))
    cover = np.zeros((height, width), np.float32)
    axes = (round(passer.size[0] * width), round(passer.size[1] * height))
    cv2.ellipse(cover, (round(across * width), round(down * height)), axes, 0, 0, 360, 1.0, -1)
    cover = cv2.GaussianBlur(cover, (0, 0), 0.015 * min(height, width))[..., None]
    colour = picture[int(passer.spot[1] * height), int(passer.spot[0] * width)]
    covered: NDArray[np.float32] = picture + cover * (colour - picture)
    return covered
