"""The person of an avatar: proportions, skin, hair and accessories.

Lengths are in decimetres on the face plane: x to the picture's right, y down, the origin between the
eyes. A pupil lies about 0.32 from the middle line, the chin about 1.15 below the eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Rgb = tuple[float, float, float]
HairStyle = Literal["bald", "buzz", "short", "parted", "fringe", "bob", "long", "bun", "curly", "afro"]
BeardStyle = Literal["none", "stubble", "moustache", "full"]
GlassesStyle = Literal["none", "round", "square"]

_SKINS: tuple[Rgb, ...] = (
    (250, 218, 196),
    (241, 202, 174),
    (228, 184, 152),
    (208, 158, 122),
    (180, 128, 92),
    (146, 99, 70),
    (112, 75, 54),
    (86, 58, 44),
)
_DARK_HAIR: tuple[Rgb, ...] = ((30, 26, 26), (44, 32, 28), (66, 46, 36))
_LIGHT_HAIR: tuple[Rgb, ...] = ((98, 66, 44), (130, 82, 48), (204, 166, 104), (168, 84, 42), (226, 196, 140))
_GREY_HAIR: tuple[Rgb, ...] = ((150, 148, 146), (208, 206, 202))
_IRISES: tuple[Rgb, ...] = ((74, 48, 30), (96, 64, 36), (84, 116, 72), (70, 112, 150), (110, 120, 122))
_FRAMES: tuple[Rgb, ...] = ((24, 24, 28), (92, 54, 32), (150, 40, 44), (40, 62, 110), (176, 172, 166))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One avatar. Lengths in decimetres, colours sRGB in [0, 255]."""

    face_width: float
    jaw: float
    chin: float
    chin_width: float
    cheek: float
    eye_x: float
    eye_width: float
    eye_open: float
    eye_tilt: float
    iris: float
    brow_height: float
    brow_thick: float
    brow_arch: float
    nose_width: float
    nose_length: float
    nose_height: float
    mouth_y: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    ear: float
    hairline: float
    age: float
    freckles: float
    skin: Rgb
    lips: Rgb
    hair: Rgb
    iris_colour: Rgb
    hair_style: HairStyle
    hair_volume: float
    hair_side: float
    beard: BeardStyle
    glasses: GlassesStyle
    glasses_colour: Rgb
    texture_seed: int


def _mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )


def _pick_hair(rng: np.random.Generator, tone: float, age: float) -> Rgb:
    if age > 0.7 and rng.random() < 0.7:
        pool = _GREY_HAIR
    elif tone < 2.6 and rng.random() < 0.65:
        pool = _LIGHT_HAIR
    else:
        pool = _DARK_HAIR
    return _mix(pool[rng.integers(len(pool))], pool[rng.integers(len(pool))], rng.random())


def draw_identity(rng: np.random.Generator) -> Identity:
    """Draw one person at random."""
    u = rng.uniform
    soft = float(rng.random())  # softer or harder features, which many read as feminine or masculine
    age = float(rng.random())
    tone = float(u(0, len(_SKINS) - 1))
    low = int(tone)
    skin = _mix(_SKINS[low], _SKINS[min(low + 1, len(_SKINS) - 1)], tone - low)
    hair = _pick_hair(rng, tone, age)
    iris_pool = _IRISES if tone < 3 else _IRISES[:2]
    rouge = float(u(0.18, 0.34 + 0.26 * soft))
    styles: tuple[HairStyle, ...]
    if soft > 0.5:
        styles = ("parted", "fringe", "bob", "long", "long", "bun", "curly", "afro")
    else:
        styles = ("bald", "buzz", "short", "short", "short", "parted", "curly", "afro")
    beards: tuple[BeardStyle, ...] = ("none", "none", "stubble", "moustache", "full")
    glasses: tuple[GlassesStyle, ...] = ("none", "none", "none", "round", "square")
    return Identity(
        face_width=u(0.67, 0.75),
        jaw=u(0.80, 0.93) - 0.07 * soft,
        chin=u(1.10, 1.20) - 0.04 * soft,
        chin_width=u(0.22, 0.31) - 0.04 * soft,
        cheek=u(0.04, 0.10),
        eye_x=u(0.305, 0.345),
        eye_width=u(0.155, 0.175) + 0.012 * soft,
        eye_open=u(0.115, 0.145) + 0.015 * soft,
        eye_tilt=u(-0.012, 0.03),
        iris=u(0.064, 0.074),
        brow_height=u(0.225, 0.265),
        brow_thick=u(0.030, 0.045) * (1.35 - 0.55 * soft),
        brow_arch=u(0.015, 0.05),
        nose_width=u(0.125, 0.175),
        nose_length=u(0.42, 0.50),
        nose_height=u(0.20, 0.30),
        mouth_y=u(0.72, 0.78),
        mouth_width=u(0.225, 0.275),
        upper_lip=u(0.040, 0.062) + 0.014 * soft,
        lower_lip=u(0.060, 0.085) + 0.014 * soft,
        ear=u(0.8, 1.15),
        hairline=u(0.60, 0.74),
        age=age,
        freckles=float(rng.random() < 0.15) * u(0.4, 1.0),
        skin=skin,
        lips=_mix(_mix(skin, (178, 62, 72), rouge), (60, 20, 24), 0.08 + 0.05 * tone / 7),
        hair=hair,
        iris_colour=iris_pool[rng.integers(len(iris_pool))],
        hair_style=styles[rng.integers(len(styles))],
        hair_volume=u(0.7, 1.3),
        hair_side=float(rng.choice((-1.0, 1.0))),
        beard=beards[rng.integers(len(beards))] if soft < 0.5 else "none",
        glasses=glasses[rng.integers(len(glasses))],
        glasses_colour=_FRAMES[rng.integers(len(_FRAMES))],
        texture_seed=int(rng.integers(2**31)),
    )
