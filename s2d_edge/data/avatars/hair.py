"""Hair, and the neck and clothes behind the face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.avatars.canvas import Brush, Canvas, Mask, Stroke, threefold
from s2d_edge.data.avatars.expression import Floats
from s2d_edge.data.avatars.geometry import SIDES, curve
from s2d_edge.data.avatars.identity import HairStyle, Identity, Rgb
from s2d_edge.data.avatars.scene import Scene, smooth_noise

# How far hair stands off the skull, decimetres, at volume 1.
_VOLUME: Final[dict[HairStyle, float]] = {
    "bald": 0.0,
    "buzz": 0.015,
    "short": 0.12,
    "parted": 0.10,
    "fringe": 0.10,
    "bob": 0.11,
    "long": 0.10,
    "bun": 0.05,
    "curly": 0.16,
    "afro": 0.30,
}
_CURTAIN: Final[dict[HairStyle, float]] = {"bob": 0.72, "long": 1.25, "fringe": 0.35}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A flat picture behind the face.

    Attributes:
        colour: (H, W, 3) float32 in [0, 255], multiplied by ``alpha``.
        alpha: (H, W) opacity.
        canvas: where it lies on the face plane.
        depth: height towards the viewer, decimetres.
    """

    colour: NDArray[np.float32]
    alpha: Mask
    canvas: Canvas
    depth: float


def _dome(width: float, top: float, low: float, squareness: float = 0.8) -> Floats:
    """An arch from (−width, low) over (0, top) to (width, low): (37, 2)."""
    angle = np.linspace(np.pi, 0.0, 37)
    x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** squareness * width
    return np.stack([x, low + (top - low) * np.sin(angle) ** squareness], axis=1)


def head_canvas(who: Identity, density: float) -> Canvas:
    """The smallest canvas that holds the head, its ears and the hair in front, the jaw dropped."""
    volume = _VOLUME[who.hair_style] * who.hair_volume
    half = who.face_width + 0.16 + 1.3 * volume
    return Canvas(density, -half, half, -1.22 - 1.7 * volume, who.chin + 0.36)


def head_top(who: Identity, canvas: Canvas) -> Mask:
    """Skull above the eyes, and the ears."""
    brush, mask = Brush(canvas), canvas.mask()
    brush.mask(mask, Stroke(_dome(who.face_width, -1.02, 0.0)))
    for side in SIDES:
        angle = np.linspace(0, 2 * np.pi, 25)
        ear = np.stack([0.075 * who.ear * np.cos(angle), 0.19 * who.ear * np.sin(angle)], axis=1)
        brush.mask(mask, Stroke(ear + np.array((side * (who.face_width + 0.02), 0.12))))
    return mask


def _strands(
    who: Identity, canvas: Canvas, rng: np.random.Generator, root: tuple[float, float]
) -> NDArray[np.float32]:
    """Hair colour with strands that run away from ``root``: (H, W, 3)."""
    x, y = canvas.axes()
    across, down = x[None, :] - np.float32(root[0]), y[:, None] - np.float32(root[1])
    rows, columns = canvas.shape
    if who.hair_style in ("curly", "afro", "buzz"):
        cell = max(round(canvas.density * (0.03 if who.hair_style == "buzz" else 0.07)), 2)
        tone = 0.75 * smooth_noise(rng, rows, columns, cell)
    else:
        angle = cv2.phase(across + 0 * down, down + 0 * across) / np.float32(2 * np.pi)
        far = np.sqrt(across**2 + down**2)
        coarse = rng.standard_normal((6, 190)).astype(np.float32)
        coarse[:, -1] = coarse[:, 0]
        tone = cv2.remap(coarse, angle * 188, 1.2 * far, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    light = 1.0 + 0.16 * tone + 0.10 * smooth_noise(rng, rows, columns, max(round(0.3 * canvas.density), 2))
    base = np.array(who.hair, dtype=np.float32) + 8.0
    return np.asarray(base * np.clip(light, 0.45, 1.7)[:, :, None], dtype=np.float32)


def _hairline(who: Identity) -> Floats:
    """Lower edge of the hair in front, from the picture's left to its right: (n, 2)."""
    width, high, style = who.face_width, -who.hairline, who.hair_style
    if style == "fringe":
        half = [(width * 1.02, 0.3), (width * 0.93, -0.12), (0.45, -0.35)]
        middle = [(0.0, -0.40)]
    elif style in ("parted", "long", "bob"):
        half = [(width * 1.02, 0.3), (width * 0.93, -0.15), (0.52, -0.45)]
        middle = [(0.26 * who.hair_side, high - 0.12)]
    else:
        half = [(width * 1.02, 0.02), (width * 0.93, -0.28), (0.50, -0.52), (0.30, high)]
        middle = [(0.0, high + 0.02)]
    left = [(-x, y) for x, y in half]
    return curve(np.array([*left, *middle, *half[::-1]]), steps=8)


def _curls(brush: Brush, mask: Mask, rim: Floats, rng: np.random.Generator, size: float) -> None:
    """Round tufts along the edge of the hair."""
    for x, y in rim[::2]:
        jitter = rng.normal(0.0, 0.25 * size, 2)
        tuft = np.array([[x + jitter[0], y + jitter[1]]])
        brush.mask(mask, Stroke(tuft, width=2 * size * rng.uniform(0.7, 1.1)))


def front_hair(who: Identity, canvas: Canvas, rng: np.random.Generator) -> tuple[NDArray[np.float32], Mask]:
    """The hair in front of the head: its colour (H, W, 3) and opacity (H, W)."""
    colour = _strands(who, canvas, rng, (0.24 * who.hair_side, -0.95))
    mask = canvas.mask()
    if who.hair_style == "bald":
        return colour, mask
    brush = Brush(canvas)
    volume = _VOLUME[who.hair_style] * who.hair_volume
    rim = _dome(who.face_width + 0.02 + 0.6 * volume, -1.03 - volume, 0.02)
    line = _hairline(who)
    brush.mask(mask, Stroke(np.concatenate([rim, line[::-1]]), soft=0.012))
    if who.hair_style in ("curly", "afro"):
        _curls(brush, mask, rim[3:-3], rng, 0.05 + 0.2 * volume)
        _curls(brush, mask, line[4:-4], rng, 0.05)
    low = _CURTAIN.get(who.hair_style)
    if low is not None:
        width = who.face_width
        for side in SIDES:
            outer = [(width + 0.07 + 0.6 * volume, -0.35), (width + 0.1 + volume, 0.2), (width + 0.08, low)]
            inner = [(width * 0.93, low), (width * 0.97, 0.3), (width * 0.94, -0.15), (width * 0.8, -0.4)]
            lock = np.array(outer + inner) * (side, 1.0)
            brush.mask(mask, Stroke(curve(np.concatenate([lock, lock[:1]])), soft=0.012))
    if who.hair_style == "buzz":
        mask *= 0.8
    return colour, mask


def hair_behind(who: Identity, scene: Scene, density: float, rng: np.random.Generator) -> Layer | None:
    """The hair behind the head; None where there is none."""
    canvas = Canvas(density, -1.5, 1.5, -1.8, 2.2)
    brush, mask = Brush(canvas), canvas.mask()
    volume = _VOLUME[who.hair_style] * who.hair_volume
    width = who.face_width + 0.04 + 0.8 * volume
    if who.hair_style in ("long", "bob", "fringe"):
        low = {"long": 1.75, "bob": 0.95, "fringe": 0.8}[who.hair_style]
        rim = _dome(width, -1.03 - volume, 0.0)
        fall = np.array(
            [(width + 0.12, 0.5), (width + 0.10, low), (-width - 0.10, low), (-width - 0.12, 0.5)]
        )
        brush.mask(mask, Stroke(np.concatenate([rim, fall]), soft=0.02))
    elif who.hair_style in ("curly", "afro"):
        rim = _dome(width, -1.0 - volume, 0.2)
        brush.mask(mask, Stroke(rim, soft=0.02))
        _curls(brush, mask, rim[3:-3], rng, 0.05 + 0.25 * volume)
    elif who.hair_style == "bun":
        brush.mask(mask, Stroke(np.array([[0.0, -1.24]]), width=0.62 * who.hair_volume, soft=0.01))
    else:
        return None
    light = 0.62 * (scene.ambient + 0.6 * scene.key)
    colour = _strands(who, canvas, rng, (0.0, -1.0)) * np.float32(light)
    return Layer(colour=colour * threefold(mask), alpha=mask, canvas=canvas, depth=-0.25)


def body(who: Identity, scene: Scene, density: float) -> Layer:
    """Paint neck and clothes."""
    canvas = Canvas(density, -2.6, 2.6, 0.2, 3.0)
    brush = Brush(canvas)
    x, y = canvas.axes()
    light = scene.ambient + scene.key * (0.72 + 0.30 * scene.light[0] * np.clip(x / 1.2, -1, 1))[None, :]
    picture = np.zeros((*canvas.shape, 3), dtype=np.float32)
    picture += np.array(who.skin, dtype=np.float32)
    neck = 0.40 + 0.25 * (who.jaw - 0.8)
    chin_shadow = Stroke(np.array([[0.0, who.chin - 0.2]]), width=1.35, soft=0.12, strength=0.5)
    brush.shade(picture, chin_shadow)
    slope = [(0.62, 1.50), (1.25, 1.66), (1.65, 1.95), (1.8, 3.0)]
    collar = [(0.0, 1.78), (0.25, 1.68), (neck + 0.06, 1.40), *slope]
    left = [(-a, b) for a, b in collar[:0:-1]]
    shirt = curve(np.array(left + collar))
    brush.paint(picture, Stroke(shirt), scene.clothes)
    edge = curve(np.array([(-a, b) for a, b in collar[2:0:-1]] + collar[:3]))
    darker: Rgb = (scene.clothes[0] * 0.75, scene.clothes[1] * 0.75, scene.clothes[2] * 0.75)
    brush.paint(picture, Stroke(edge, width=0.07), darker)
    mask = canvas.mask()
    column = [(neck, 0.4), (neck * 0.97, 1.0), (neck + 0.06, 1.38), *slope]
    brush.mask(mask, Stroke(np.array([(-a, b) for a, b in column] + column[::-1])))
    shoulder = 1.0 - 0.12 * np.clip(y - 1.6, 0, 1)
    picture *= (light * shoulder[:, None])[:, :, None]
    return Layer(colour=picture * threefold(mask), alpha=mask, canvas=canvas, depth=0.0)
