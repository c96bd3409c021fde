"""An avatar's surroundings: light, background, clothes, lens and sensor."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.avatars.identity import Rgb

Picture = NDArray[np.float32]  # (H, W, 3) RGB in [0, 255]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One clip's surroundings.

    Attributes:
        light: direction towards the key light: right, down, towards the viewer; length 1.
        key, ambient: strength of the key light and of the ambient light.
        tint: colour of the key light, about 1 each.
        head: picture's sides per decimetre.
        centre: place of the middle of the head, fractions of the picture.
        clothes: colour of the clothes.
        backdrop: two colours of the background.
        backdrop_seed: seed of the background's shapes.
        blur, noise: blur and noise of the sensor, as a fraction of the picture's side and in grey levels.
        contrast: contrast of the camera's tone curve.
    """

    light: tuple[float, float, float]
    key: float
    ambient: float
    tint: Rgb
    head: float
    centre: tuple[float, float]
    clothes: Rgb
    backdrop: tuple[Rgb, Rgb]
    backdrop_seed: int
    blur: float
    noise: float
    contrast: float


def _colour(rng: np.random.Generator, low: float, high: float) -> Rgb:
    red, green, blue = rng.uniform(low, high, 3)
    grey, share = (red + green + blue) / 3, rng.uniform(0.25, 0.9)
    return (
        float(red + (grey - red) * share),
        float(green + (grey - green) * share),
        float(blue + (grey - blue) * share),
    )


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw one clip's surroundings at random."""
    side, height = rng.uniform(-0.45, 0.45), rng.uniform(-0.5, 0.1)
    direction = np.array([side, height, 1.0])
    direction /= np.sqrt((direction**2).sum())
    warm = rng.uniform(-0.09, 0.09)
    level = rng.uniform(0.86, 1.02)
    return Scene(
        light=(float(direction[0]), float(direction[1]), float(direction[2])),
        key=float(level * rng.uniform(0.55, 0.8)),
        ambient=float(level * rng.uniform(0.4, 0.52)),
        tint=(1.0 + warm, 1.0, 1.0 - warm),
        head=float(rng.uniform(0.25, 0.33)),
        centre=(float(rng.uniform(0.42, 0.58)), float(rng.uniform(0.43, 0.52))),
        clothes=_colour(rng, 20, 225),
        backdrop=(_colour(rng, 30, 235), _colour(rng, 30, 235)),
        backdrop_seed=int(rng.integers(2**31)),
        blur=float(rng.uniform(0.0, 0.004)),
        noise=float(rng.uniform(0.8, 3.5)),
        contrast=float(rng.uniform(0.9, 1.12)),
    )


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell: int) -> NDArray[np.float32]:
    """Cloudy noise of about unit size whose clouds measure ``cell`` pixels: (height, width)."""
    coarse = rng.standard_normal((height // cell + 3, width // cell + 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def paint_backdrop(scene: Scene, size: int) -> Picture:
    """Paint the background, a gradient with a few soft shapes: (size, size, 3) float32."""
    rng = np.random.default_rng(scene.backdrop_seed)
    first, second = (np.array(colour, dtype=np.float32) for colour in scene.backdrop)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    angle = rng.uniform(0, 2 * np.pi)
    ramp = 0.5 + 0.6 * ((x - 0.5) * np.float32(np.cos(angle)) + (y - 0.5) * np.float32(np.sin(angle)))
    picture = np.ascontiguousarray(first + (second - first) * np.clip(ramp, 0, 1)[:, :, None])
    for _ in range(int(rng.integers(0, 9))):
        colour = [float(c) for c in np.clip(first + rng.normal(0, 45, 3), 10, 245)]
        left, top = (rng.uniform(-0.2, 1.1, 2) * size).astype(int)
        wide, tall = (rng.uniform(0.06, 0.45, 2) * size).astype(int)
        if rng.random() < 0.5:
            cv2.rectangle(picture, (int(left), int(top)), (int(left + wide), int(top + tall)), colour, -1)
        else:
            cv2.circle(picture, (int(left), int(top)), int(wide // 2) + 1, colour, -1, cv2.LINE_AA)
    softness = size * rng.uniform(0.008, 0.04)
    blurred = cv2.GaussianBlur(picture, (0, 0), float(softness))
    return np.asarray(blurred, dtype=np.float32)
