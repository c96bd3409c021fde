"""Drawn pictures and videos, and the landmarks of a drawn head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.media.crop import LEFT_EYE, MESH_POINTS, RIGHT_EYE, Picture, Points
from s2d_edge.media.tracking import Box, Face


def plain(colour: tuple[int, int, int], width: int = 96, height: int = 64) -> Picture:
    """One colour everywhere, (height, width, 3) uint8 RGB."""
    return np.full((height, width, 3), colour, np.uint8)


def with_square(colour: tuple[int, int, int], x: int = 30, y: int = 12, side: int = 40) -> Picture:
    """A coloured square on black: what :class:`SquareDetector` takes for a face."""
    picture = plain((0, 0, 0))
    picture[y : y + side, x : x + side] = colour
    return picture


def square(k: int) -> Picture:
    """Frame k of a video: a square that moves, whose red of 100 + k tells its number, below 150."""
    return with_square((100 + k % 150, 90, 90), x=4 + k % 40, y=10 + k % 7, side=20)


def write_video(path: Path, frames: Iterable[Picture], fps: float = 20.0, code: str = "MJPG") -> Path:
    """Encode frames; MJPG in an .avi keeps every frame apart from the others."""
    writer = None
    for frame in frames:
        if writer is None:
            size = (frame.shape[1], frame.shape[0])
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, size)
            assert writer.isOpened()
        writer.write(frame[:, :, ::-1])
    assert writer is not None
    writer.release()
    return path


def mesh_at(x: float, y: float, side: float, turn_deg: float = 0.0) -> Points:
    """Points on a circle in the square (x, y, side), eyes level, then turned around its centre."""
    angles = np.linspace(0, 2 * np.pi, MESH_POINTS, endpoint=False)
    points: NDArray[np.float64] = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points[list(LEFT_EYE)] = [(-0.6, -0.3), (-0.2, -0.3)]
    points[list(RIGHT_EYE)] = [(0.2, -0.3), (0.6, -0.3)]
    cos, sin = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
    turned = points @ np.array([[cos, sin], [-sin, cos]])
    placed: Points = (turned * side / 2 + (x + side / 2, y + side / 2)).astype(np.float32)
    return placed


class SquareDetector:
    """Finds the coloured squares on black, as a face finder would find faces."""

    def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
        """One face per square, largest first."""
        lit = (frame.max(axis=2) > 60).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(lit)
        boxes = sorted(
            (tuple(int(v) for v in stats[i, :4]) for i in range(1, count)), key=lambda b: -b[2] * b[3]
        )
        return [Face(mesh_at(x, y, max(w, h)), (x, y, w, h)) for x, y, w, h in boxes if min(w, h) >= 8]

    def close(self) -> None:
        """Nothing to free."""
