"""The motion of an animated still in time: every movement departs from the photograph and returns to it.

One frame, the apex, is the photograph: there the expression is complete and every other movement zero.
Nothing here depends on the label.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.avatars.expression import smoothstep
from s2d_edge.data.avatars.motion import blinks, wander

Floats = NDArray[np.float64]

_RISE_S = (0.3, 0.9)  # seconds that an expression takes to appear, or to disappear
TWITCHES = 3  # random movements that a face mixes
_LIVELINESS = (0.012, 0.03)


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """The movements of every frame; all but ``intensity`` are 0 at the apex.

    Attributes:
        apex: index of the frame that is the photograph.
        intensity: (T,) intensity of the expression, in [0, 1], 1 at the apex.
        twitch: (T, 3) weights of three random movements of the face, without a scale.
        liveliness: root mean square of all movement of the face, in widths of the face. Where the expression
            moves it less, twitches add the rest, so that the amount of movement reveals no label.
        blink: (T,) closing of the eyes, in [0, 1], 1 for shut eyes.
        turn: (T, 3) yaw, pitch and roll of the head, radians.
        shift: (T, 2) shift of the head, in widths of the face.
        growth: (T,) growth of the head, as a fraction.
    """

    apex: int
    intensity: Floats
    twitch: Floats
    liveliness: float
    blink: Floats
    turn: Floats
    shift: Floats
    growth: Floats


def plan_motion(rng: np.random.Generator, *, frames: int, fps: float, onset: bool) -> Motion:
    """Plan every frame of one clip.

    Args:
        rng: the source of every random choice.
        frames: T, at least 4.
        fps: frames per second.
        onset: True lets the expression appear and stay; False lets it also appear and disappear, or only
            disappear.
    """
    seconds = np.arange(frames) / fps
    apex, intensity = _onset(rng, seconds) if onset else _episode(rng, seconds)

    def returning(size: float) -> Floats:
        moved = wander(rng, seconds, size)
        moved -= moved[apex]
        return moved

    blink = blinks(rng, seconds)
    blink[apex] = 0.0
    return Motion(
        apex=apex,
        intensity=intensity,
        twitch=np.stack([returning(1.0) for _ in range(TWITCHES)], axis=1),
        liveliness=rng.uniform(*_LIVELINESS),
        blink=blink,
        turn=np.stack([returning(size) for size in (0.14, 0.09, 0.07)], axis=1),
        shift=np.stack([returning(size) for size in (0.03, 0.03)], axis=1),
        growth=returning(0.03),
    )


def _onset(rng: np.random.Generator, seconds: Floats) -> tuple[int, Floats]:
    """Rest, then an expression that appears and stays.

    The apex lies about the middle, as likely before as after it. It is the only frame that no interpolation
    has softened, so its place must not reveal the direction of the clip.
    """
    early = 3 * len(seconds) // 8
    apex = int(rng.integers(early, len(seconds) - early))
    return apex, _rise(rng, seconds, apex)


def _episode(rng: np.random.Generator, seconds: Floats) -> tuple[int, Floats]:
    """An expression that appears, disappears, or both; as likely as its own reversal in time."""
    apex, intensity = _onset(rng, seconds)
    kind, last = rng.choice(3), len(seconds) - 1
    if kind == 0:
        return apex, intensity
    if kind == 1:
        return last - apex, intensity[::-1]
    return apex, np.minimum(intensity, _rise(rng, seconds, last - apex)[::-1])


def _rise(rng: np.random.Generator, seconds: Floats, apex: int) -> Floats:
    """Intensity that rises from 0 at the beginning to 1, at the apex at the latest, (T,)."""
    room = float(seconds[apex])
    lasts = min(rng.uniform(*_RISE_S), room)
    begins = rng.uniform(0.0, room - lasts)
    intensity = smoothstep((seconds - begins) / max(lasts, 1e-9))
    intensity[apex:] = 1.0
    return intensity
