"""What a face does: action units of the seven expressions, and how they run in time.

Action units are those of the Facial Action Coding System (Ekman and Friesen); the compositions follow
EMFACS, a little exaggerated. Surprise and fear are one and the same startled face: surprise comes at
once and fades slowly, fear builds slowly and ends at once. Only the order of the frames tells them
apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2d_edge.errors import ConfigError

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
    """One instant of a face.

    Attributes:
        units: (16, 2) intensities in [0, ~1.2] in the order of ``UNITS``; columns are the picture's left
            and right half of the face.
        gaze: right and down, each in [-1, 1].
        yaw, pitch, roll: of the head, radians; yaw to the picture's right, pitch down, roll clockwise.
        shift: of the head in the picture, as a fraction of its side (right, down).
        noise_seed: of the sensor noise in this frame.
    """

    units: Floats
    gaze: tuple[float, float]
    yaw: float
    pitch: float
    roll: float
    shift: tuple[float, float]
    noise_seed: int

    def unit(self, number: int) -> Floats:
        """(2,) intensity of one action unit, the picture's left half first."""
        half: Floats = self.units[_ROW[number]]
        return half

    def mean(self, number: int) -> float:
        """Intensity of one action unit, both halves averaged."""
        return float(self.unit(number).mean())


def smoothstep(x: Floats) -> Floats:
    """0 below 0, 1 above 1, a smooth cubic between."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def startle_curve(rng: np.random.Generator, at: Floats) -> Floats:
    """Sudden onset in the first eighth of the clip, then a slow fade.

    Args:
        at: moments as fractions of the clip, in [0, 1].

    Returns:
        Intensity at each moment, in [0, 1].
    """
    onset = rng.uniform(-0.04, 0.10)
    floor, bend = rng.uniform(0.0, 0.2), rng.uniform(0.75, 1.15)
    apex = onset + 0.07
    fade = np.clip((at - apex) / (1.0 - apex), 0.0, 1.0) ** bend
    return smoothstep((at - onset) / 0.07) * (1.0 - (1.0 - floor) * fade)


def episode_curve(rng: np.random.Generator, at: Floats) -> Floats:
    """An expression that comes, stays and may go; as likely as its own reversal in time."""
    onset, rise = rng.uniform(-0.5, 0.25), rng.uniform(0.1, 0.3)
    offset, fall = rng.uniform(0.85, 1.5), rng.uniform(0.1, 0.3)
    at = 1.0 - at if rng.random() < 0.5 else at
    return smoothstep((at - onset) / rise) * smoothstep((offset - at) / fall)


def _wander(rng: np.random.Generator, seconds: Floats, size: float) -> Floats:
    """A slow random motion of amplitude ``size`` whose reversal in time is just as likely."""
    total = np.zeros_like(seconds)
    for rate_hz in (0.12, 0.31, 0.55):
        phase = rng.uniform(0.0, 2.0 * np.pi)
        total = total + rng.uniform(0.3, 1.0) * np.sin(2 * np.pi * rate_hz * seconds + phase)
    return size * total / 2.0


def _blinks(rng: np.random.Generator, seconds: Floats) -> Floats:
    """Closed eyes as a symmetric bump about every four seconds."""
    closed = np.zeros_like(seconds)
    length = float(seconds[-1]) + 1.0
    for _ in range(int(rng.poisson(length / 4.0))):
        closed = np.maximum(closed, np.exp(-(((seconds - rng.uniform(-0.5, length)) / 0.11) ** 2)))
    return closed


def _expression_units(rng: np.random.Generator, label: str, curve: Floats) -> Floats:
    """(T, 16, 2) action units of one expression under one time curve."""
    strength, lean = rng.uniform(0.85, 1.1), rng.normal(0.0, 0.07)
    halves = np.array([1.0 + lean, 1.0 - lean])
    units = np.zeros((len(curve), len(UNITS), 2))
    for number, size in EXPRESSIONS[label].items():
        varied = size * strength * rng.uniform(0.85, 1.1)
        units[:, _ROW[number]] = curve[:, None] * varied * halves
    if label == "happy" and rng.random() < 0.35:  # a smile with closed lips
        units[:, _ROW[25]] *= 0.1
    return units


def plan_motion(
    rng: np.random.Generator, label: str, *, frames: int, fps: float, calm: float = 1.0
) -> tuple[FaceMotion, ...]:
    """Plan every frame of one clip.

    A fear clip is the surprise clip of the same random state, last frame first.

    Args:
        rng: where every random choice comes from.
        label: one of ``LABELS``.
        frames: T, at least 4.
        fps: frames per second.
        calm: scales the head's pose and motion.

    Raises:
        ConfigError: an unknown label, or too few frames to show an order.
    """
    if label not in LABELS:
        raise ConfigError(f"avatars know no expression {label!r}; choose one of {', '.join(LABELS)}")
    if frames < 4:
        raise ConfigError(f"frames={frames} cannot show the order of an expression; take 4 or more")
    seconds, at = np.arange(frames) / fps, np.linspace(0.0, 1.0, frames)
    yaw0, pitch0, roll0 = (calm * rng.uniform(-a, a) for a in (0.30, 0.14, 0.13))
    yaw, pitch, roll = (calm * _wander(rng, seconds, size) for size in (0.11, 0.06, 0.05))
    right, down = (_wander(rng, seconds, 0.02) for _ in range(2))
    gaze_x, gaze_y = (_wander(rng, seconds, 0.5) for _ in range(2))
    blinks = _blinks(rng, seconds)
    twitch = np.stack([_wander(rng, seconds, 0.07) for _ in UNITS], axis=1)[:, :, None]  # (T, 16, 1)
    noise_seeds = rng.integers(2**31, size=frames)

    startled = label in ("surprise", "fear")
    curve = (startle_curve if startled else episode_curve)(rng, at)
    units = np.abs(twitch) + _expression_units(rng, label, curve)
    if label == "neutral" and rng.random() < 0.5:  # talking
        talk = np.abs(_wander(rng, seconds * 4.0, 0.35))
        units[:, _ROW[25]] += talk[:, None]
        units[:, _ROW[26]] += 0.6 * talk[:, None]
    units[:, _ROW[43]] = np.maximum(units[:, _ROW[43]], blinks[:, None])
    plan = tuple(
        FaceMotion(
            units=np.clip(units[t], 0.0, 1.25),
            gaze=(float(gaze_x[t]), float(gaze_y[t])),
            yaw=float(yaw0 + yaw[t]),
            pitch=float(pitch0 + pitch[t]),
            roll=float(roll0 + roll[t]),
            shift=(float(right[t]), float(down[t])),
            noise_seed=int(noise_seeds[t]),
        )
        for t in range(frames)
    )
    return plan[::-1] if label == "fear" else plan
