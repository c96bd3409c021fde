"""The flat face: skin, eyes, brows, mouth, folds, beard and glasses, before any light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s2d_edge.data.avatars.canvas import Brush, Canvas, Mask, Stroke
from s2d_edge.data.avatars.expression import FaceMotion, Floats
from s2d_edge.data.avatars.geometry import SIDES, Eye, Features, Mouth, curve
from s2d_edge.data.avatars.identity import Identity, Rgb
from s2d_edge.data.avatars.scene import Picture, smooth_noise

_SCLERA: Rgb = (236, 232, 228)
_TEETH: Rgb = (240, 234, 222)
_TONGUE: Rgb = (172, 78, 82)
_CAVITY: Rgb = (52, 18, 20)
_LASH: Rgb = (34, 24, 22)


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """A face before light.

    Attributes:
        colour: (H, W, 3) float32 in [0, 255].
        alpha: (H, W) opacity of the head.
        detail: (H, W) small relief (lips, folds), decimetres.
        shine: (H, W) how glossy, about 1.
    """

    colour: Picture
    alpha: Mask
    detail: Mask
    shine: Mask


def _spot(x: float, y: float) -> Floats:
    return np.array([[x, y]])


def resting_skin(who: Identity, canvas: Canvas, rng: np.random.Generator) -> Picture:
    """Skin with its blotches, blush, freckles and shaven cheeks: (H, W, 3)."""
    rows, columns = canvas.shape
    brush = Brush(canvas)
    skin = np.zeros((rows, columns, 3), dtype=np.float32) + np.array(who.skin, dtype=np.float32)
    for cell, size in ((0.35, 0.025), (0.05, 0.012)):
        clouds = smooth_noise(rng, rows, columns, max(round(cell * canvas.density), 2))
        skin *= 1.0 + np.float32(size) * clouds[:, :, None]
    blush: Rgb = (who.skin[0] * 0.97, who.skin[1] * 0.72, who.skin[2] * 0.70)
    for side in SIDES:
        brush.paint(skin, Stroke(_spot(side * 0.45, 0.36), width=0.28, soft=0.12, strength=0.35), blush)
        brush.paint(skin, Stroke(_spot(side * (who.face_width + 0.03), 0.12), 0.2, 0.05, 0.3), blush)
        socket = Stroke(_spot(side * who.eye_x, 0.0), width=0.34, soft=0.07, strength=0.16)
        brush.shade(skin, socket)
        ear = np.array([(0.01, -0.08), (0.05, 0.0), (0.01, 0.10)]) * who.ear
        ear = ear * (side, 1.0) + (side * (who.face_width + 0.01), 0.12)
        brush.shade(skin, Stroke(curve(ear), width=0.035, soft=0.015, strength=0.4))
    brush.paint(skin, Stroke(_spot(0, who.nose_length - 0.06), width=0.16, soft=0.06, strength=0.3), blush)
    if who.freckles:
        brown: Rgb = (who.skin[0] * 0.72, who.skin[1] * 0.58, who.skin[2] * 0.5)
        for _ in range(70):
            x, y = rng.normal(0, 0.3), rng.normal(0.28, 0.1)
            dot = Stroke(_spot(x, y), width=rng.uniform(0.012, 0.03), soft=0.006, strength=0.6 * who.freckles)
            brush.paint(skin, dot, brown)
    return skin


def _paint_eye(
    brush: Brush, canvas: Canvas, colour: Picture, who: Identity, eye: Eye, gaze: tuple[float, float]
) -> None:
    ring = np.concatenate([eye.upper, eye.lower[::-1]])
    if eye.closed < 0.9:
        inside = canvas.mask()
        brush.mask(inside, Stroke(ring))
        brush.paint(colour, Stroke(ring), _SCLERA)
        x, y = eye.centre[0] + 0.035 * gaze[0], eye.centre[1] + 0.02 * gaze[1]
        rim: Rgb = (who.iris_colour[0] * 0.45, who.iris_colour[1] * 0.45, who.iris_colour[2] * 0.45)
        brush.paint(colour, Stroke(_spot(x, y), 2.0 * who.iris), rim, inside)
        brush.paint(colour, Stroke(_spot(x, y), 1.66 * who.iris, 0.008), who.iris_colour, inside)
        brush.paint(colour, Stroke(_spot(x, y), 0.9 * who.iris), (12, 10, 10), inside)
        brush.shade(colour, Stroke(eye.upper + np.array((0, 0.008)), 0.045, 0.014, 0.55), inside)
        brush.paint(colour, Stroke(_spot(x - 0.024, y - 0.026), 0.034), (255, 255, 255), inside)
    brush.paint(colour, Stroke(eye.upper, 0.026, 0.004, 0.9), _LASH)


def _teeth(mouth: Mouth) -> Floats:
    """The upper row of teeth, which hangs below the middle of the lip and bends less than the lip."""
    lip = mouth.inner_upper
    middle = float(lip[len(lip) // 2, 1])
    edge = np.stack([0.94 * lip[:, 0], middle + 0.35 * (lip[:, 1] - middle) + 0.05], axis=1)
    return np.concatenate([lip - (0, 0.03), np.maximum(edge, lip - (0, 0.02))[::-1]])


def _paint_mouth(brush: Brush, canvas: Canvas, colour: Picture, who: Identity, features: Features) -> Mask:
    """Paint lips, teeth and tongue. Returns the opacity of the lips."""
    mouth = features.mouth
    outer = np.concatenate([mouth.outer_upper, mouth.outer_lower[::-1]])
    inner = np.concatenate([mouth.inner_upper, mouth.inner_lower[::-1]])
    lips = canvas.mask()
    brush.mask(lips, Stroke(outer, soft=0.008))
    brush.paint(colour, Stroke(outer, soft=0.010), who.lips)
    upper = np.concatenate([mouth.outer_upper, mouth.inner_upper[::-1]])
    brush.shade(colour, Stroke(upper, soft=0.012, strength=0.13))
    if mouth.gap > 0.012:
        inside = canvas.mask()
        brush.mask(inside, Stroke(inner))
        brush.paint(colour, Stroke(inner), _CAVITY)
        if mouth.gap > 0.1:
            low = float(mouth.inner_lower[len(mouth.inner_lower) // 2, 1])
            tongue = Stroke(_spot(0, low + 0.03), width=0.24, soft=0.03, strength=0.9)
            brush.paint(colour, tongue, _TONGUE, inside)
        brush.paint(colour, Stroke(_teeth(mouth), soft=0.005), _TEETH, inside)
        brush.shade(colour, Stroke(mouth.inner_upper, 0.03, 0.012, 0.45), inside)
    else:
        brush.shade(colour, Stroke(mouth.inner_upper, 0.020, 0.006, 0.75))
    return lips


def _nose_lines(who: Identity, features: Features) -> list[Stroke]:
    """Paint the nose: nostrils, wings and the shadow under the tip."""
    lines = []
    for side, lift in zip(SIDES, features.nose_lift, strict=True):
        y = who.nose_length + 0.005 - lift
        out = np.array((side * who.nose_width, 1.0))
        hole = np.array([(0.24, y + 0.012), (0.42, y - 0.008), (0.62, y + 0.004)])
        wing = np.array([(0.9, y - 0.075), (1.1, y - 0.03), (1.0, y + 0.015)])
        lines.append(Stroke(curve(hole * out), width=0.034, strength=0.75))
        lines.append(Stroke(curve(wing * out), width=0.024, strength=0.34))
    y = who.nose_length + 0.03 - float(features.nose_lift.mean())
    under = np.array([(-0.09, y), (0.0, y + 0.012), (0.09, y)])
    return [Stroke(curve(under), width=0.05, strength=0.28), *lines]


def _folds(who: Identity, motion: FaceMotion, features: Features) -> list[Stroke]:
    """Paint wrinkles; ``strength`` in [0, ~0.6] is also their depth."""
    folds: list[Stroke] = []
    old = 0.25 * who.age

    def fold(points: list[tuple[float, float]], strength: float, width: float = 0.025) -> None:
        if strength > 0.04:
            line = curve(np.array(points))
            folds.append(Stroke(line, width=width, strength=min(strength, 0.65)))

    raised = motion.mean(1) * 0.6 + motion.mean(2) * 0.6
    for level, x in ((0.42, 0.34), (0.50, 0.38), (0.57, 0.3)):
        y = -level - 0.04 * raised
        fold([(-x, y + 0.02), (-0.15, y - 0.01), (0.15, y - 0.01), (x, y + 0.02)], 0.28 * raised + 0.3 * old)
    for column, side in enumerate(SIDES):
        smile, sneer, wrinkle, frown = (float(motion.unit(n)[column]) for n in (12, 10, 9, 15))
        cheek, knit, sad = (float(motion.unit(n)[column]) for n in (6, 4, 1))
        corner = features.mouth.inner_upper[0 if side < 0 else -1]
        lift = float(features.nose_lift[column])
        wing = (side * (who.nose_width + 0.02), who.nose_length - 0.05 - lift)
        bend = (side * (abs(corner[0]) * 0.75 + 0.10), (wing[1] + corner[1]) / 2 - 0.02)
        end = (side * (abs(corner[0]) + 0.075), float(corner[1]) + 0.02)
        depth = 0.10 + 0.5 * old + 0.32 * smile + 0.38 * sneer + 0.3 * wrinkle
        fold([wing, bend, end], depth, 0.03)
        fold([(end[0] - side * 0.03, end[1] + 0.02), (end[0] + side * 0.01, end[1] + 0.12)], 0.4 * frown)
        brow_y = -who.brow_height + 0.04
        fold([(side * 0.055, brow_y - 0.10), (side * 0.05, brow_y + 0.06)], 0.55 * knit + 0.3 * old)
        fold([(side * 0.10, brow_y - 0.05), (side * 0.02, brow_y + 0.16)], 0.5 * wrinkle)
        fold([(side * 0.10, 0.12), (side * 0.045, 0.04)], 0.55 * wrinkle)
        out = who.eye_x + who.eye_width
        for tilt in (-0.05, 0.0, 0.05):
            start, stop = (side * (out + 0.035), tilt * 0.5), (side * (out + 0.11), tilt * 1.6)
            fold([start, stop], 0.3 * cheek + 0.3 * old, 0.018)
        bag = [
            (side * (who.eye_x - 0.13), 0.09),
            (side * who.eye_x, 0.135 - 0.03 * cheek),
            (side * (who.eye_x + 0.14), 0.085),
        ]
        fold([(float(x), float(y)) for x, y in features.eyes[column].crease[::3]], 0.42, 0.02)
        fold([(float(x), float(y)) for x, y in features.eyes[column].lower[::3]], 0.30, 0.015)
        fold(
            [(float(corner[0]) - side * 0.01, float(corner[1])), (end[0] - side * 0.06, float(corner[1]))],
            0.6,
            0.035,
        )
        fold(bag, 0.08 + 0.25 * cheek + 0.12 * sad + 0.4 * old)
    lip_y = float(features.mouth.outer_lower[len(features.mouth.outer_lower) // 2, 1])
    fold(
        [(-0.13, lip_y + 0.05), (0.0, lip_y + 0.035), (0.13, lip_y + 0.05)],
        0.14 + 0.35 * motion.mean(17),
        0.04,
    )
    return folds


def _paint_brows(brush: Brush, colour: Picture, who: Identity, features: Features) -> None:
    dark: Rgb = (who.hair[0] * 0.62, who.hair[1] * 0.6, who.hair[2] * 0.6)
    taper = np.array([0.75, 1.0, 0.95, 0.7, 0.22])
    for side, brow in zip(SIDES, features.brows, strict=True):
        half = who.brow_thick * (taper[::-1] if side < 0 else taper)
        upper, lower = (
            curve(brow - np.stack([0 * half, half], 1)),
            curve(brow + np.stack([0 * half, 0.7 * half], 1)),
        )
        brush.paint(colour, Stroke(np.concatenate([upper, lower[::-1]]), soft=0.013, strength=0.92), dark)


def _paint_beard(brush: Brush, colour: Picture, who: Identity, features: Features) -> None:
    if who.beard == "none":
        return
    hair: Rgb = (who.hair[0] * 0.85, who.hair[1] * 0.82, who.hair[2] * 0.8)
    mouth = features.mouth
    top = mouth.outer_upper[[0, 6, 12, 18, -1]]
    lift = np.array([(0, 0.03), (0, -0.075), (0, -0.09), (0, -0.075), (0, 0.03)])
    moustache = np.concatenate([curve(top + lift), curve(top[::-1] + np.array((0, 0.005)))])
    jaw = features.jaw
    cheek = jaw[[6, -7]]
    inner = np.array([cheek[1] * (0.96, 1.0), (0.40, 0.62), (0.30, mouth.outer_lower[0, 1] + 0.03)])
    under = mouth.outer_lower[[3, 12, 21]] + (0, 0.05)
    edge = np.concatenate([inner * (1, 1), under[::-1], inner[::-1] * (-1, 1)])
    full = np.concatenate([jaw[6:-6] * (1.02, 1.015), curve(edge)])
    strength = {"stubble": 0.30, "moustache": 0.0, "full": 0.88}[who.beard]
    if strength:
        brush.paint(colour, Stroke(full, soft=0.035, strength=strength), hair)
    upper = 0.30 if who.beard == "stubble" else 0.88
    brush.paint(colour, Stroke(moustache, soft=0.016, strength=upper), hair)


def glasses_rims(who: Identity, canvas: Canvas) -> Mask:
    """Opacity of the frames of the glasses: (H, W)."""
    brush, rims = Brush(canvas), canvas.mask()
    angle = np.linspace(0, 2 * np.pi, 41)
    power = 1.0 if who.glasses == "round" else 0.45
    wide, tall = (0.225, 0.2) if who.glasses == "round" else (0.245, 0.165)
    shape = np.stack(
        [np.sign(f) * np.abs(f) ** power * r for f, r in ((np.cos(angle), wide), (np.sin(angle), tall))],
        axis=1,
    )
    for side in SIDES:
        brush.mask(rims, Stroke(shape + np.array((side * (who.eye_x + 0.005), 0.02)), width=0.032))
        arm = np.array([(who.eye_x + wide, -0.02), (who.face_width + 0.02, -0.05)]) * (side, 1)
        brush.mask(rims, Stroke(arm, width=0.03))
    gap = who.eye_x - wide
    bridge = curve(np.array([(-gap, 0.0), (0.0, -0.035), (gap, 0.0)]))
    brush.mask(rims, Stroke(bridge, width=0.032))
    return rims


def paint_face(
    who: Identity, canvas: Canvas, skin: Picture, top: Mask, features: Features, motion: FaceMotion
) -> Painted:
    """Paint one frame's face onto the canvas.

    Args:
        skin: what :func:`resting_skin` gave.
        top: the head's opacity above the jaw.
    """
    brush, colour, detail = Brush(canvas), skin.copy(), canvas.mask()
    shine = canvas.mask() + 1.0
    folds = canvas.mask()
    brush.lines(folds, _folds(who, motion, features) + _nose_lines(who, features), soft=0.014)
    brush.darken(colour, folds)
    detail -= np.float32(0.018) * folds
    _paint_beard(brush, colour, who, features)
    lips = _paint_mouth(brush, canvas, colour, who, features)
    for eye in features.eyes:
        _paint_eye(brush, canvas, colour, who, eye, motion.gaze)
    _paint_brows(brush, colour, who, features)
    brush.add(
        detail,
        Stroke(
            np.concatenate([features.mouth.outer_upper, features.mouth.outer_lower[::-1]]),
            soft=0.03,
            strength=0.035,
        ),
    )
    shine += 0.5 * lips
    alpha = top.copy()
    brush.mask(alpha, Stroke(features.jaw))
    return Painted(colour=colour, alpha=alpha, detail=detail, shine=shine)
