"""The motion of faces in time: expressions that appear and disappear, wandering heads, blinks.

Surprise appears at once and ends half-way; fear appears half-way and stays to the end. A fear clip is a
surprise clip played backwards, and every other movement is as likely as its own reversal. So the two differ
in nothing but the order of their frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import ConfigError
from s2d_edge.data.avatars.expression import (
    EXPRESSIONS,
    LABELS,
    UNITS,
    FaceMotion,
    Floats,
    smoothstep,
    unit_row,
)

CLIP_S = 1.75  # an expression's length in a longer video: the default clip's, 8 frames at 4 per second


def startle_curve(rng: np.random.Generator, at: Floats) -> Floats:
    """Sudden onset in the first eighth of the clip; half-way through it is over.

    Args:
        at: moments as fractions of the clip; beyond 1 what is left of the startle goes.

    Returns:
        Intensity at each moment, in [0, 1].
    """
    onset = rng.uniform(-0.04, 0.08)
    offset, fall = rng.uniform(0.42, 0.62), rng.uniform(0.1, 0.25)
    floor = rng.uniform(0.0, 0.12)
    fade = 1.0 - smoothstep((offset + fall - at) / fall)
    gone = smoothstep((1.4 - at) / 0.4)
    return smoothstep((at - onset) / 0.07) * (1.0 - (1.0 - floor) * fade) * gone


def episode_curve(rng: np.random.Generator, at: Floats) -> Floats:
    """An expression that appears, stays and may disappear; as likely as its own reversal in time."""
    onset, rise = rng.uniform(-0.5, 0.12), rng.uniform(0.1, 0.25)
    offset, fall = rng.uniform(0.95, 1.6), rng.uniform(0.1, 0.25)
    at = 1.0 - at if rng.random() < 0.5 else at
    return smoothstep((at - onset) / rise) * smoothstep((offset - at) / fall)


def wander(rng: np.random.Generator, seconds: Floats, size: float) -> Floats:
    """A slow random motion of amplitude ``size`` whose reversal in time is just as likely."""
    total = np.zeros_like(seconds)
    for rate_hz in (0.12, 0.31, 0.55):
        phase = rng.uniform(0.0, 2.0 * np.pi)
        total = total + rng.uniform(0.3, 1.0) * np.sin(2 * np.pi * rate_hz * seconds + phase)
    return size * total / 2.0


def blinks(rng: np.random.Generator, seconds: Floats) -> Floats:
    """Closed eyes as a symmetric bump about every four seconds, equally likely anywhere in the clip."""
    closed = np.zeros_like(seconds)
    margin = 0.5
    length = float(seconds[-1])
    for _ in range(int(rng.poisson((length + 2 * margin) / 4.0))):
        middle = rng.uniform(-margin, length + margin)
        closed = np.maximum(closed, np.exp(-(((seconds - middle) / 0.11) ** 2)))
    return closed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Idle:
    """Head motion that does not depend on the expression; each array has one row per frame."""

    turn: Floats  # (T, 3) yaw, pitch, roll
    shift: Floats  # (T, 2)
    gaze: Floats  # (T, 2)
    blinks: Floats  # (T,)
    twitch: Floats  # (T, units)
    noise_seeds: NDArray[np.int64]  # (T,)

    def show(self, units: Floats) -> tuple[FaceMotion, ...]:
        """Add an expression's (T, units, 2) action units."""
        units = units + np.abs(self.twitch)[:, :, None]
        eyes = unit_row(43)
        units[:, eyes] = np.maximum(units[:, eyes], self.blinks[:, None])
        units = np.clip(units, 0.0, 1.25)
        return tuple(
            FaceMotion(
                units=units[t],
                gaze=(float(self.gaze[t, 0]), float(self.gaze[t, 1])),
                yaw=float(self.turn[t, 0]),
                pitch=float(self.turn[t, 1]),
                roll=float(self.turn[t, 2]),
                shift=(float(self.shift[t, 0]), float(self.shift[t, 1])),
                noise_seed=int(self.noise_seeds[t]),
            )
            for t in range(len(units))
        )


def _idle(rng: np.random.Generator, seconds: Floats, pose: float) -> _Idle:
    """Draw the motion that is the same for every expression; ``pose`` scales the resting pose."""
    rest = [pose * rng.uniform(-most, most) for most in (0.12, 0.07, 0.12)]
    return _Idle(
        turn=np.stack(
            [at + wander(rng, seconds, size) for at, size in zip(rest, (0.07, 0.04, 0.05), strict=True)],
            axis=1,
        ),
        shift=np.stack([wander(rng, seconds, 0.02) for _ in range(2)], axis=1),
        gaze=np.stack([wander(rng, seconds, 0.5) for _ in range(2)], axis=1),
        blinks=blinks(rng, seconds),
        twitch=np.stack([wander(rng, seconds, 0.04) for _ in UNITS], axis=1),
        noise_seeds=rng.integers(2**31, size=len(seconds)),
    )


def _expression(rng: np.random.Generator, label: str, curve: Floats, seconds: Floats) -> Floats:
    """Action units of one expression under one time curve, (T, units, 2)."""
    strength, lean = rng.uniform(0.95, 1.15), rng.normal(0.0, 0.07)
    halves = np.array([1.0 + lean, 1.0 - lean])
    units = np.zeros((len(curve), len(UNITS), 2))
    for number, size in EXPRESSIONS[label].items():
        varied = size * strength * rng.uniform(0.9, 1.1)
        units[:, unit_row(number)] = curve[:, None] * varied * halves
    if label == "happy" and rng.random() < 0.35:  # a smile with closed lips
        units[:, unit_row(25)] *= 0.1
    if label == "neutral" and rng.random() < 0.35:  # talking
        talk = np.abs(wander(rng, seconds * 4.0, 0.3)) * curve
        units[:, unit_row(25)] += talk[:, None]
        units[:, unit_row(26)] += 0.6 * talk[:, None]
    return units


def plan_motion(rng: np.random.Generator, label: str, *, frames: int, fps: float) -> tuple[FaceMotion, ...]:
    """Plan every frame of one clip.

    A fear clip is the surprise clip of the same random state, last frame first.

    Args:
        rng: the source of every random choice.
        label: one of ``LABELS``.
        frames: T, at least 4.
        fps: frames per second.

    Raises:
        ConfigError: an unknown label, or too few frames to show an order.
    """
    if label not in LABELS:
        raise ConfigError(f"avatars know no expression {label!r}; choose one of {', '.join(LABELS)}")
    if frames < 4:
        raise ConfigError(f"frames={frames} cannot show the order of an expression; take 4 or more")
    seconds, at = np.arange(frames) / fps, np.linspace(0.0, 1.0, frames)
    idle = _idle(rng, seconds, pose=1.0)
    startled = label in ("surprise", "fear")
    curve = (startle_curve if startled else episode_curve)(rng, at)
    plan = idle.show(_expression(rng, label, curve, seconds))
    return plan[::-1] if label == "fear" else plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One expression in a longer video, seconds from its start."""

    label: str
    start_s: float
    end_s: float


def plan_performance(
    rng: np.random.Generator, *, seconds: float, fps: float
) -> tuple[tuple[FaceMotion, ...], tuple[Act, ...]]:
    """Plan one avatar that shows the seven expressions, with pauses between.

    Returns:
        The motion of every frame, and the time of each expression.
    """
    times = np.arange(max(round(seconds * fps), 1)) / fps
    idle = _idle(rng, times, pose=0.4)
    slot = seconds / len(LABELS)
    length = min(CLIP_S, slot / 2)
    units = np.zeros((len(times), len(UNITS), 2))
    acts = []
    for number, label in enumerate(LABELS):
        start = slot * number + (slot - length) / 2
        at = (times - start) / length
        if label in ("surprise", "fear"):
            curve = startle_curve(rng, 1.0 - at if label == "fear" else at)
        else:
            curve = episode_curve(rng, at)
        units += _expression(rng, label, curve, times)
        acts.append(Act(label=label, start_s=start, end_s=start + length))
    return idle.show(units), tuple(acts)
