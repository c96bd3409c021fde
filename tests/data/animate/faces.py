"""FaceMesh's points of a drawn face, and sets of labelled photographs to animate."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from mediapipe.python.solutions.face_mesh_connections import FACEMESH_FACE_OVAL
from numpy.typing import NDArray

from s2d_edge.data.animate.mesh import HOLES, LEFT_EYE, MOUTH, OVAL, RIGHT_EYE, skin_triangles
from s2d_edge.data.animate.resting import STEADY

Floats = NDArray[np.float64]


@cache
def _unit_face() -> Floats:
    """FaceMesh flattened over an ellipse: outline and rims are given, every other point lies amid its
    neighbours (Tutte's embedding, which folds no triangle).
    """
    points = np.zeros((468, 2))
    angles = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    points[_outline()] = np.stack([0.5 * np.sin(angles), -0.6 * np.cos(angles)], axis=1)
    for hole, (x, y), wide, high in (
        (LEFT_EYE, (-0.22, -0.15), 0.09, 0.03),
        (RIGHT_EYE, (0.22, -0.15), 0.09, 0.03),
        (MOUTH, (0.0, 0.25), 0.15, 0.08),
    ):
        along = np.linspace(-1, 1, len(hole.upper))
        bow = high * np.sqrt(1 - along**2)
        points[list(hole.upper)] = np.stack([x + wide * along, y - bow], axis=1)
        points[list(hole.lower)] = np.stack([x + wide * along, y + bow], axis=1)
    joined = np.zeros((468, 468))
    for one, other in ((0, 1), (1, 2), (2, 0)):
        joined[skin_triangles()[:, one], skin_triangles()[:, other]] = 1
    joined = np.maximum(joined, joined.T)
    free = np.ones(468, bool)
    free[[*OVAL, *(point for hole in HOLES for point in hole.upper + hole.lower)]] = False
    system = np.diag(joined.sum(axis=1)) - joined
    points[free] = np.linalg.solve(system[np.ix_(free, free)], joined[free][:, ~free] @ points[~free])
    return points


def _outline() -> list[int]:
    """The outline's points in order, from the forehead's middle clockwise."""
    follows = dict(FACEMESH_FACE_OVAL)
    order = [10]
    while follows[order[-1]] != 10:
        order.append(follows[order[-1]])
    return order


def round_face(centre: tuple[float, float] = (48.0, 48.0), width: float = 60.0) -> Floats:
    """(468, 2) pixels: a face as wide as that, eyes and mouth open."""
    placed: Floats = _unit_face() * width + centre
    return placed


def varied(faces: int, smile: float, seed: int) -> Floats:
    """(n, 468, 2) pixels: round faces of different people who open their mouths by about ``smile``."""
    rng = np.random.default_rng(seed)
    mean = round_face((0.0, 0.0), 1.0)
    long = np.zeros_like(mean)
    jaw = [point for point in OVAL if mean[point, 1] > 0.1 and point not in STEADY]
    long[jaw, 1] = 0.15 * mean[jaw, 1]
    opened = np.zeros_like(mean)
    opened[list(MOUTH.lower), 1] = 0.1
    shapes = [mean + rng.normal() * long + smile * abs(rng.normal(1, 0.2)) * opened for _ in range(faces)]
    sizes, shifts = rng.uniform(40, 80, faces), rng.uniform(40, 60, (faces, 1, 2))
    placed: Floats = np.stack(shapes) * sizes[:, None, None] + shifts
    return placed


def rims_gap(points: Floats) -> float:
    """Largest distance between the rims of eyes and mouth."""
    return max(float(np.abs(points[list(h.upper)] - points[list(h.lower)]).max()) for h in HOLES)


def some_stills(shared: Path, per_label: dict[str, int], skip: int = 0) -> list[dict[str, str]]:
    """Rows of the development photographs' table, so many of each label's training stills."""
    with (shared / "faces/labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    return [
        {**row, "path": str(shared / "faces" / row["path"])}
        for label, count in per_label.items()
        for row in [row for row in rows if row["label"] == label][skip : skip + count]
    ]


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    """A CSV file of these rows."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
