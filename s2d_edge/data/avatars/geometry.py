"""The geometry of a face: outlines, relief and the 68 landmarks, moved by the action units.

All points are (x, y) in decimetres on the face plane (see ``identity``); heights are towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.avatars.expression import FaceMotion, Floats, smoothstep
from s2d_edge.data.avatars.identity import Identity

AnyFloat = TypeVar("AnyFloat", np.float32, np.float64)

SIDES = (-1.0, 1.0)  # the picture's left half of the face, then the right


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """One eye; ``upper`` and ``lower`` run from the picture's left corner to its right one, (n, 2)."""

    side: float
    centre: tuple[float, float]
    upper: Floats
    lower: Floats
    crease: Floats
    closed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mouth:
    """Four curves from the picture's left corner to its right one, each (n, 2), and its opening."""

    outer_upper: Floats
    inner_upper: Floats
    inner_lower: Floats
    outer_lower: Floats
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Everything drawn in one frame.

    Attributes:
        jaw: (n, 2) from ear to ear around the chin, the picture's left first.
        brows: two (5, 2) centre lines, each from the picture's left to its right.
        drop: distance by which the jaw hangs, decimetres.
        landmarks: (68, 2) in iBUG's order.
    """

    jaw: Floats
    brows: tuple[Floats, Floats]
    eyes: tuple[Eye, Eye]
    mouth: Mouth
    nose_lift: Floats
    drop: float
    landmarks: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """A Gaussian hill (or dent) of the relief, decimetres."""

    x: float
    y: float
    wide: float
    tall: float
    height: float


@lru_cache(maxsize=64)
def _spline_basis(points: int, steps: int) -> Floats:
    """Catmull-Rom weights: ((points − 1)·steps + 1, points)."""
    basis = np.zeros(((points - 1) * steps + 1, points))
    for row in range(len(basis)):
        at = min(row // steps, points - 2)
        t = row / steps - at
        weights = (
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        )
        for offset, weight in zip(range(-1, 3), weights, strict=True):
            basis[row, min(max(at + offset, 0), points - 1)] += weight
    return basis


def curve(points: Floats, steps: int = 6) -> Floats:
    """A smooth curve through (n, 2) points: ((n − 1)·steps + 1, 2)."""
    smooth: Floats = (_spline_basis(len(points), steps)[:, :, None] * points[None]).sum(axis=1)
    return smooth


@lru_cache(maxsize=64)
def _evenly(samples: int, count: int) -> tuple[Floats, NDArray[np.int64]]:
    """Places of ``count`` evenly spread points among ``samples``, and the samples' own places."""
    return np.linspace(0, samples - 1, count), np.arange(samples)


def _along(line: Floats, count: int) -> Floats:
    """Points evenly spread over a curve's samples, ends included: (count, 2)."""
    at, steps = _evenly(len(line), count)
    return np.stack([np.interp(at, steps, line[:, 0]), np.interp(at, steps, line[:, 1])], axis=1)


def jaw_line(who: Identity, drop: float) -> Floats:
    """From ear to ear around the chin, the jaw hanging by ``drop`` decimetres: (73, 2)."""
    width, jaw = who.face_width, who.jaw
    half = np.array(
        [
            (width, -0.02),
            (width * 0.985, 0.25),
            (width * (0.45 + 0.5 * jaw), 0.50),
            (width * jaw * 0.93, 0.72),
            (width * jaw * 0.72, 0.93),
            (who.chin_width, who.chin * 0.985 - 0.01),
            (0.0, who.chin),
        ]
    )
    half[:, 1] += drop * smoothstep((half[:, 1] - 0.35) / 0.65)
    mirrored = half[:-1] * (-1.0, 1.0)
    return curve(np.concatenate([mirrored, half[::-1]]))


def _brow(who: Identity, motion: FaceMotion, column: int) -> Floats:
    side = SIDES[column]
    inner, outer, down = (float(motion.unit(n)[column]) for n in (1, 2, 4))
    wrinkle = float(motion.unit(9)[column])
    u = np.linspace(0.0, 1.0, 5)  # inner to outer end
    x = who.eye_x - 0.185 + 0.40 * u - (0.05 * down + 0.02 * wrinkle) * (1 - u)
    y = -who.brow_height - who.brow_arch * np.sin(np.pi * np.clip(u * 0.85, 0, 1)) + 0.03 * u
    y = y - 0.135 * inner * (1 - u) ** 1.5 - 0.12 * outer * np.sin(np.pi * np.clip(0.15 + 0.6 * u, 0, 1))
    y = y + down * (0.105 * (1 - u) + 0.035) + 0.035 * wrinkle * (1 - 0.5 * u)
    line: Floats = np.stack([side * x, y], axis=1)
    return line[::-1] if side < 0 else line


def _eye(who: Identity, motion: FaceMotion, column: int) -> Eye:
    side = SIDES[column]
    lifted, cheek, tight, shut, wrinkle = (float(motion.unit(n)[column]) for n in (5, 6, 7, 43, 9))
    sad = float(motion.unit(1)[column] * motion.unit(15)[column])
    upper = 0.6 * who.eye_open * (1 + 0.6 * lifted - 0.3 * tight - 0.1 * cheek)
    lower = 0.4 * who.eye_open * max(1 + 0.25 * lifted - 0.5 * tight - 0.55 * cheek - 0.3 * wrinkle, 0.15)
    shut = min(shut, 1.0)
    upper = upper * (1 - shut) - lower * 0.8 * shut
    u = np.linspace(-1.0, 1.0, 13)  # inner to outer corner
    x = who.eye_x + who.eye_width * u
    base = -who.eye_tilt * u
    dome = np.cos(np.pi / 2 * u) ** 0.8
    upper_y = base - upper * dome * (1.0 - 0.18 * u) + 0.03 * sad * (u + 1) * dome / 2
    lower_y = base + lower * np.cos(np.pi / 2 * u) ** 0.9 * (1.0 + 0.15 * u)
    upper_y = np.minimum(upper_y, lower_y)
    crease_y = upper_y - (0.035 + 0.012 * u + 0.03 * shut) * (0.4 + 0.6 * dome)
    lines = [np.stack([side * x, y], axis=1) for y in (upper_y, lower_y, crease_y)]
    if side < 0:
        lines = [line[::-1] for line in lines]
    return Eye(
        side=side,
        centre=(side * who.eye_x, -0.1 * who.eye_open),
        upper=lines[0],
        lower=lines[1],
        crease=lines[2],
        closed=shut,
    )


def _mouth(who: Identity, motion: FaceMotion, drop: float) -> Mouth:
    smile, frown, stretch, tight, raised = (motion.unit(n) for n in (12, 15, 20, 23, 10))
    chin, part, jaw = motion.mean(17), motion.mean(25), motion.mean(26)
    pursed, grin, sneer = float(tight.mean()), float(smile.mean()), float(raised.mean())
    width = who.mouth_width + 0.085 * smile + 0.05 * stretch - 0.035 * tight - 0.02 * jaw
    corner = who.mouth_y - 0.105 * smile + 0.085 * frown + 0.01 * stretch + 0.42 * drop
    middle = who.mouth_y - 0.035 * chin + 0.015 * grin
    inner_upper = middle - 0.012 * part - 0.05 * sneer * min(part * 2, 1) - 0.012 * grin * part
    inner_lower = middle + 0.045 * part * (1 + 0.6 * grin) + 0.95 * drop
    inner_lower = max(inner_lower, inner_upper)
    upper_lip = who.upper_lip * (1 - 0.6 * min(pursed, 1.0) - 0.2 * grin) + 0.008 * sneer
    lower_lip = who.lower_lip * (1 - 0.55 * min(pursed, 1.0) - 0.12 * grin + 0.12 * chin)
    outer_upper = inner_upper - upper_lip - 0.022 * sneer
    u = np.linspace(-1.0, 1.0, 25)
    half = (u > 0).astype(int)
    weight, x = np.abs(u), u * width[half]

    def line(mid: float, bend: float, bow: Floats | float = 0.0) -> Floats:
        share = weight**bend
        return np.stack([x, corner[half] * share + mid * (1 - share) + bow], axis=1)

    cupid = upper_lip * (0.22 * np.exp(-((u / 0.10) ** 2)) - 0.14 * np.exp(-(((weight - 0.25) / 0.15) ** 2)))
    snarl = -0.02 * raised[half] * np.exp(-(((weight - 0.45) / 0.3) ** 2))
    return Mouth(
        outer_upper=line(outer_upper, 1.9, cupid + snarl),
        inner_upper=line(inner_upper, 2.2, snarl * min(part * 2, 1)),
        inner_lower=line(inner_lower, 2.4),
        outer_lower=line(inner_lower + lower_lip, 2.6),
        gap=inner_lower - inner_upper,
    )


def _landmarks(
    who: Identity, jaw: Floats, brows: tuple[Floats, Floats], eyes: tuple[Eye, Eye], mouth: Mouth, lift: float
) -> Floats:
    nose_x = who.nose_width
    tip = who.nose_length - 0.07 - lift
    bridge = np.stack([np.zeros(4), np.linspace(0.02, tip, 4)], axis=1)
    base_y = who.nose_length + 0.03 - lift * np.array([1.0, 0.5, 0.3, 0.5, 1.0])
    base = np.stack([nose_x * np.array([-0.75, -0.38, 0.0, 0.38, 0.75]), base_y], axis=1)
    rings = []
    for eye in eyes:
        upper, lower = _along(eye.upper, 7), _along(eye.lower, 7)
        rings.append(np.stack([upper[0], upper[2], upper[4], upper[6], lower[4], lower[2]]))
    outer = np.concatenate([_along(mouth.outer_upper, 7), _along(mouth.outer_lower, 7)[-2:0:-1]])
    upper_in, lower_in = _along(mouth.inner_upper, 9), _along(mouth.inner_lower, 9)
    inner = np.stack([upper_in[i] for i in (1, 3, 4, 5, 7)] + [lower_in[i] for i in (5, 4, 3)])
    return np.concatenate([_along(jaw, 17), brows[0], brows[1], bridge, base, *rings, outer, inner])


def face_features(who: Identity, motion: FaceMotion) -> Features:
    """Place every feature of ``who`` as ``motion`` moves it."""
    drop = 0.23 * motion.mean(26) + 0.02 * motion.mean(25) - 0.025 * motion.mean(17)
    drop = max(drop, -0.03)
    jaw = jaw_line(who, drop)
    brows = (_brow(who, motion, 0), _brow(who, motion, 1))
    eyes = (_eye(who, motion, 0), _eye(who, motion, 1))
    mouth = _mouth(who, motion, max(drop, 0.0))
    lift = 0.035 * motion.unit(9) + 0.012 * motion.unit(10)
    return Features(
        jaw=jaw,
        brows=brows,
        eyes=eyes,
        mouth=mouth,
        nose_lift=lift,
        drop=drop,
        landmarks=_landmarks(who, jaw, brows, eyes, mouth, float(lift.mean())),
    )


def resting_relief(who: Identity) -> list[Bump]:
    """The hills and dents of a face at rest, except those of :func:`moving_relief`."""
    height, length = who.nose_height, who.nose_length
    # The ridge of the nose widens and rises to its tip.
    bumps = [
        Bump(
            x=0,
            y=share * length,
            wide=0.07 + 0.05 * share,
            tall=0.13,
            height=height * (0.22 + 0.42 * share),
        )
        for share in (0.12, 0.35, 0.58, 0.8)
    ]
    bumps.append(Bump(x=0, y=length - 0.07, wide=0.085, tall=0.07, height=0.32 * height))
    bumps.append(Bump(x=0, y=-0.24, wide=0.3, tall=0.09, height=0.035))
    bumps.append(Bump(x=0, y=who.mouth_y + 0.14, wide=0.17, tall=0.045, height=-0.035))
    for side in SIDES:
        bumps += [
            Bump(x=side * who.eye_x, y=-0.02, wide=0.19, tall=0.12, height=-0.10),
            Bump(x=side * who.eye_x, y=0.0, wide=0.13, tall=0.085, height=0.055),
            Bump(x=side * (who.eye_x + 0.03), y=-0.21, wide=0.17, tall=0.07, height=0.045),
            Bump(x=side * 0.55, y=-0.25, wide=0.12, tall=0.25, height=-0.04),
        ]
    return bumps


def moving_relief(who: Identity, motion: FaceMotion, features: Features) -> list[Bump]:
    """The hills that the action units move: cheeks, nose wings, lips' mound and chin."""
    drop = max(features.drop, 0.0)
    bumps = [
        Bump(x=0, y=who.mouth_y + 0.5 * drop, wide=0.30, tall=0.2 + 0.3 * drop, height=0.09),
        Bump(
            x=0, y=who.chin - 0.11 + features.drop, wide=0.17, tall=0.10, height=0.09 + 0.03 * motion.mean(17)
        ),
    ]
    for column, side in enumerate(SIDES):
        raised = float(max(motion.unit(6)[column], 0.8 * motion.unit(12)[column]))
        lift = float(features.nose_lift[column])
        bumps += [
            Bump(
                x=side * 0.42,
                y=0.36 - 0.08 * raised,
                wide=0.19,
                tall=0.16 - 0.03 * raised,
                height=who.cheek + 0.07 * raised,
            ),
            Bump(
                x=side * who.nose_width * 0.85,
                y=who.nose_length - 0.02 - lift,
                wide=0.055,
                tall=0.055,
                height=0.09,
            ),
        ]
    return bumps


def base_height(x: NDArray[AnyFloat], y: NDArray[AnyFloat]) -> NDArray[AnyFloat]:
    """The head as a paraboloid, flat enough at its rim to turn by 25 degrees without folding."""
    height: NDArray[AnyFloat] = 0.72 * (1.0 - (x / 0.86) ** 2 - ((y - 0.02) / 1.35) ** 2)
    return np.maximum(height, -0.5)


def height_at(points: Floats, bumps: list[Bump]) -> Floats:
    """Relief under (n, 2) points: (n,)."""
    x, y = points[:, :1], points[:, 1:]  # (n, 1) each
    shape = np.array([(bump.x, bump.y, bump.wide, bump.tall, bump.height) for bump in bumps]).T  # (5, m)
    hills = shape[4] * np.exp(-0.5 * (((x - shape[0]) / shape[2]) ** 2 + ((y - shape[1]) / shape[3]) ** 2))
    total: Floats = base_height(x[:, 0], y[:, 0]) + hills.sum(axis=1)
    return total
