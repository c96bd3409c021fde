"""One animated clip of one still, made from nothing but the still and a seed."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.animate.camera import Camera, plan_camera
from s2d_edge.data.animate.head import Head
from s2d_edge.data.animate.mesh import LEFT_EYE, RIGHT_EYE
from s2d_edge.data.animate.motion import TWITCHES, Motion, plan_motion
from s2d_edge.data.animate.resting import RestingFace, place
from s2d_edge.data.animate.warp import FaceWarp
from s2d_edge.media.crop import Picture

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPlan:
    """Everything random about a clip.

    Attributes:
        motion: motion of face and head.
        camera: light, focus and the ellipse that passes in front.
        twitches: seeds of the random movements that the face mixes.
    """

    motion: Motion
    camera: Camera
    twitches: tuple[int, ...]


def plan_clip(seed: int, still: str, number: int, *, frames: int, fps: float, onset: bool) -> ClipPlan:
    """Plan clip ``number`` of a still. It depends on these arguments alone, on no other still.

    Args:
        seed: seed of the whole set.
        still: the still's name within its set.
        number: index of the clip among the still's clips.
        onset: the expression appears and stays; see :func:`plan_motion`.
    """
    digest = hashlib.sha256(os.fsencode(still)).digest()
    rng = np.random.default_rng([seed, number, *np.frombuffer(digest, np.uint32).tolist()])
    motion = plan_motion(rng, frames=frames, fps=fps, onset=onset)
    camera = plan_camera(rng, frames=frames, fps=fps, apex=motion.apex)
    twitches = tuple(int(drawn) for drawn in rng.integers(2**31, size=TWITCHES))
    return ClipPlan(motion=motion, camera=camera, twitches=twitches)


def expression_moves(points: Floats, resting: RestingFace, plan: ClipPlan) -> Floats:
    """Compute the movement of each point of the face from its place in the photograph.

    Args:
        points: (468, 2) pixels, the photograph's face.
        resting: the resting face of the set.
        plan: the plan of the clip.

    Returns:
        (T, 468, 2) pixels.
    """
    motion = plan.motion
    expression = resting.expression_of(points)
    placed = place(resting.mean, points)
    moves: Floats = -(1 - motion.intensity)[:, None, None] * expression
    shapes = [placed.moves(resting.twitch(np.random.default_rng(drawn))) for drawn in plan.twitches]
    twitches = np.einsum("tk,kpc->tpc", motion.twitch, np.stack(shapes))
    missing = (motion.liveliness * np.ptp(points[:, 0])) ** 2 - _mean_square(moves)
    moves += np.sqrt(max(missing, 0.0) / max(_mean_square(twitches), 1e-9)) * twitches
    for hole in (LEFT_EYE, RIGHT_EYE):
        upper, lower = list(hole.upper), list(hole.lower)
        moved = points + moves
        moves[:, upper] += motion.blink[:, None, None] * (moved[:, lower] - moved[:, upper])
    return moves


def _mean_square(moves: Floats) -> float:
    """Mean squared length of movements (T, 468, 2), square pixels."""
    return float((moves**2).sum(axis=-1).mean())


def animate(picture: Picture, points: Floats, resting: RestingFace, plan: ClipPlan) -> NDArray[np.uint8]:
    """Draw a clip.

    Args:
        picture: (H, W, 3) uint8 RGB, the photograph.
        points: (468, 2) pixels, its face.
        resting: the resting face of the set.
        plan: the plan of the clip.

    Returns:
        (T, H, W, 3) uint8 RGB; frame ``plan.motion.apex`` is the photograph to the pixel.
    """
    warp, motion = FaceWarp(picture, points), plan.motion
    head = Head(points, warp.points)
    moves = expression_moves(points, resting, plan)
    frames = []
    for t in range(len(moves)):
        swayed = head.moved(motion.turn[t], motion.shift[t], float(motion.growth[t]))
        frames.append(plan.camera.take(warp.moved(moves[t], swayed), t))
    return np.stack(frames)
