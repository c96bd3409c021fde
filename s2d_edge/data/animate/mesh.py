"""FaceMesh as triangles: the skin, and the openings of the eyes and the mouth.

MediaPipe ships the mesh as a set of edges with three holes, two eyes and a mouth. Skin moves with its
points. The inside of a hole belongs to the head: lids and lips slide over it.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import MissingExtraError

try:
    from mediapipe.python.solutions.face_mesh_connections import (
        FACEMESH_FACE_OVAL,
        FACEMESH_LEFT_EYE,
        FACEMESH_LIPS,
        FACEMESH_RIGHT_EYE,
        FACEMESH_TESSELATION,
    )
except ModuleNotFoundError as error:
    raise MissingExtraError("mediapipe", "mediapipe", "animating stills") from error

Triangles = NDArray[np.int64]  # (F, 3) indices of points


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """An eye or the mouth.

    Attributes:
        upper, lower: points of either rim in the picture's order from left to right; they share both ends,
            and those at the same place lie above each other.
        upper_share: the upper rim's part of the closing movement, in [0, 1].
    """

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    upper_share: float

    @property
    def triangles(self) -> list[tuple[int, int, int]]:
        """The triangles of the strip between the rims, as point indices."""
        strip = []
        for (u0, l0), (u1, l1) in itertools.pairwise(zip(self.upper, self.lower, strict=True)):
            strip += [(u0, u1, l0), (u1, l1, l0)]
        return [corners for corners in strip if len(set(corners)) == 3]


# Lids close from above. Lips meet half-way: the upper one comes down over the teeth, the jaw comes up.
LEFT_EYE = Hole(
    upper=(33, 246, 161, 160, 159, 158, 157, 173, 133),
    lower=(33, 7, 163, 144, 145, 153, 154, 155, 133),
    upper_share=0.85,
)
RIGHT_EYE = Hole(
    upper=(362, 398, 384, 385, 386, 387, 388, 466, 263),
    lower=(362, 382, 381, 380, 374, 373, 390, 249, 263),
    upper_share=0.85,
)
MOUTH = Hole(
    upper=(78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
    lower=(78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
    upper_share=0.4,
)
HOLES = (LEFT_EYE, RIGHT_EYE, MOUTH)

NOSE_TIP = 4


def _points(edges: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(sorted({point for edge in edges for point in edge}))


OVAL = _points(FACEMESH_FACE_OVAL)
LIPS = _points(FACEMESH_LIPS)
EYES = _points(FACEMESH_LEFT_EYE | FACEMESH_RIGHT_EYE)


@cache
def skin_triangles() -> Triangles:
    """(852, 3): every triple of points whose edges MediaPipe lists, without the holes."""
    neighbours: dict[int, set[int]] = defaultdict(set)
    for a, b in FACEMESH_TESSELATION:
        neighbours[a].add(b)
        neighbours[b].add(a)
    triples = sorted(
        {tuple(sorted((a, b, c))) for a, b in FACEMESH_TESSELATION for c in neighbours[a] & neighbours[b]}
    )
    uses = Counter(edge for triple in triples for edge in itertools.combinations(triple, 2))
    # Three triangles around a common point form a larger triple, no triangle: its edges have two others.
    real = [t for t in triples if not all(uses[edge] > 2 for edge in itertools.combinations(t, 2))]
    return np.array(real, np.int64)


@cache
def hole_triangles() -> Triangles:
    """(46, 3): the strips across the eyes and the mouth."""
    return np.array([corners for hole in HOLES for corners in hole.triangles], np.int64)
