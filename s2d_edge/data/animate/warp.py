"""Move a photograph's face by moving its points; the picture's border stays in place.

A picture is cut into triangles: FaceMesh's over the face, Delaunay's over the rest. Each output pixel lies
in a moved triangle and shows the corresponding place of the unmoved one.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.animate.mesh import (
    HOLES,
    LEFT_EYE,
    MOUTH,
    NOSE_TIP,
    OVAL,
    RIGHT_EYE,
    Triangles,
    hole_triangles,
    skin_triangles,
)
from s2d_edge.data.animate.patches import Floats, Patches, Shifts, Window
from s2d_edge.data.avatars.expression import smoothstep
from s2d_edge.media.crop import Picture

_MESH = 468
_GRID = 12  # background points along the shorter side of the picture
# Points this near to the border, as a fraction of the shorter side, move less: with the face, with the head.
_FACE_RIM, _HEAD_RIM = 0.05, 0.15
_FOLLOWS = 0.35  # distance within which the background follows the face's outline, in widths of the face
_FLAT = 1e-3  # square pixels: a triangle of less area shows nothing
_SHUT = 0.5  # pixels: eyes and mouths open less are shut
_SMOOTH = 0.02  # of the face's width
_OPENS, _PARTS = 1.5, 0.015  # an eye or mouth opens at most so many times, and of the face's width, more


class FaceWarp:
    """A photograph prepared for any movement of its face."""

    def __init__(self, picture: Picture, points: Floats) -> None:
        """Cut the picture into triangles.

        Args:
            picture: (H, W, 3) uint8 RGB.
            points: (468, 2) pixels, its face.
        """
        self._picture = picture
        height, width = picture.shape[:2]
        self._whole = Window(left=0, top=0, width=width, height=height, fineness=1)
        self._width = float(np.ptp(points[:, 0]))
        background = _background(points, width, height)
        self._rest: Floats = np.concatenate([points, background])
        self._freedom = _freedom(self._rest, width, height, _FACE_RIM)
        self._head_freedom = _freedom(self._rest, width, height, _HEAD_RIM)
        # A lip that the border holds back holds the whole face back: a mouth shuts, or opens less.
        self._mobility = np.minimum(self._freedom[:_MESH], self._freedom[[*MOUTH.upper, *MOUTH.lower]].min())
        self._follow = _followers(points, background)
        outside = _delaunay(np.concatenate([points[list(OVAL)], background]), width, height)
        names = np.concatenate([OVAL, _MESH + np.arange(len(background))])
        skin = skin_triangles()
        far = np.linalg.norm(points[skin].mean(axis=1) - points[NOSE_TIP], axis=1)
        # Painted in this order: triangles nearer to the viewer cover those behind.
        self._triangles = np.concatenate([names[outside], hole_triangles(), skin[np.argsort(-far)]])
        self._holes = slice(len(outside), len(outside) + len(hole_triangles()))

    @property
    def points(self) -> Floats:
        """The mesh's 468 points, then the background's, (P, 2) pixels."""
        return self._rest

    def moved(self, expression: Floats, head: Floats) -> Picture:
        """Draw the picture with its points moved.

        Args:
            expression: (468, 2) pixels, movement of the face; the background follows its outline.
            head: (P, 2) pixels, movement of head and surroundings, added to it.

        Returns:
            (H, W, 3) uint8 RGB; without any movement a copy of the picture.
        """
        if not expression.any() and not head.any():
            return self._picture.copy()
        patches, shown = self._arranged(expression, head)
        crisp = self._crisp(shown)
        shifts = self._smoothed(patches.shifts(self._whole), crisp)
        moved = self._seen(shifts, self._whole)
        # Rims are edges: drawn at twice the resolution and averaged, they have no jagged line.
        rims = shown[[*LEFT_EYE.upper, *LEFT_EYE.lower, *RIGHT_EYE.upper, *RIGHT_EYE.lower, *MOUTH.lower]]
        window = self._whole.around(rims, margin=3 * _SMOOTH * self._width + 2)
        if window is not None:
            part = (
                slice(window.top, window.top + window.height),
                slice(window.left, window.left + window.width),
            )
            fine = self._seen(patches.shifts(window), window)
            fine = cv2.resize(fine, (window.width, window.height), interpolation=cv2.INTER_AREA)
            moved[part] = np.rint(moved[part] + crisp[part] * (fine.astype(np.float32) - moved[part]))
        return moved

    def shifts(self, expression: Floats, head: Floats) -> Shifts:
        """Shift from each pixel of the moved picture to the place it shows, (H, W, 2); see :meth:`moved`."""
        patches, shown = self._arranged(expression, head)
        return self._smoothed(patches.shifts(self._whole), self._crisp(shown))

    def _arranged(self, expression: Floats, head: Floats) -> tuple[Patches, Floats]:
        """The moved triangles, and the places of the points in the moved picture, (P, 2)."""
        shown = self._rest.copy()
        shown[:_MESH] += expression * self._mobility
        shown[_MESH:] += (self._follow @ expression[list(OVAL)]) * self._freedom[_MESH:]
        self._restrain_rims(shown)
        source = self._rest[self._triangles]  # (F, 3, 2)
        source[self._holes] = self._seen_through_holes(shown)[hole_triangles()]
        shown += head * self._head_freedom
        return self._patches(source, shown[self._triangles]), shown

    def _restrain_rims(self, shown: Floats) -> None:
        """Let rims that would cross meet half-way, and keep each from opening far more than before; in place.

        A photograph does not show what is behind shut lips, so they cannot be opened.
        """
        for hole in HOLES:
            upper, lower = list(hole.upper), list(hole.lower)
            before, after = self._rest[lower] - self._rest[upper], shown[lower] - shown[upper]
            wide = np.linalg.norm(after, axis=1, keepdims=True)
            most = _OPENS * np.linalg.norm(before, axis=1, keepdims=True) + _PARTS * self._width
            kept = np.minimum(1.0, most / np.maximum(wide, 1e-6))
            kept[np.sum(before * after, axis=1) < 0] = 0.0
            # Unchanged rims stay as they are to the last bit.
            inwards = (1 - kept) / 2 * after
            shown[upper] += inwards
            shown[lower] -= inwards

    def _seen_through_holes(self, shown: Floats) -> Floats:
        """The places of the picture that appear at the rims of eyes and mouth, (468, 2).

        A rim that closes slides over the eye or the teeth behind it, instead of squashing them.
        """
        seen: Floats = self._rest[:_MESH].copy()
        for hole in HOLES:
            upper, lower = list(hole.upper), list(hole.lower)
            across = self._rest[lower] - self._rest[upper]
            before = np.linalg.norm(across, axis=1)
            after = np.linalg.norm(shown[lower] - shown[upper], axis=1)
            hidden = np.clip(1 - after / np.maximum(before, 1e-6), 0, 1)[:, None]
            seen[upper] += hidden * hole.upper_share * across
            seen[lower] -= hidden * (1 - hole.upper_share) * across
        return seen

    def _patches(self, source: Floats, shown: Floats) -> Patches:
        """Triangles painted at ``shown`` from the picture at ``source``, both (F, 3, 2)."""
        edges = shown[:, 1:] - shown[:, :1]  # (F, 2, 2)
        area = np.abs(np.linalg.det(edges)) / 2
        solid = area > _FLAT
        longest = np.linalg.norm(shown - np.roll(shown, 1, axis=1), axis=2).max(axis=1)
        breadth = 2 * area / np.maximum(longest, 1e-6)
        solid[self._holes] &= breadth[self._holes] > _SHUT  # the line between shut lips is not a mouth
        edges[~solid] = np.eye(2)
        offset = source - shown  # (F, 3, 2), zero where nothing moves
        slope = np.linalg.solve(edges, offset[:, 1:] - offset[:, :1])  # (F, 2, 2): change per x and per y
        start = offset[:, 0] - np.einsum("fi,fij->fj", shown[:, 0], slope)
        table = np.stack([slope[:, 0], slope[:, 1], start, offset.min(axis=1), offset.max(axis=1)], axis=1)
        outside = np.zeros((1, 5, 2))
        return Patches(shown=shown, solid=solid, table=np.concatenate([table, outside]).astype(np.float32))

    def _crisp(self, shown: Floats) -> NDArray[np.float32]:
        """Weight of the crisp shifts, (H, W, 1) in [0, 1]; 1 near the rims of eyes and mouth."""
        rims = np.zeros(self._picture.shape[:2], np.float32)
        for hole in HOLES:
            rim = np.round(shown[[*hole.upper, *hole.lower[::-1]]] - 0.5).astype(np.int32)
            cv2.fillPoly(rims, [rim], 1.0)
            cv2.polylines(rims, [rim], True, 1.0, 2 + round(_SMOOTH * self._width))
        crisp: NDArray[np.float32] = cv2.GaussianBlur(rims, (0, 0), _SMOOTH * self._width / 2)[..., None]
        return crisp

    def _smoothed(self, shifts: Shifts, crisp: NDArray[np.float32]) -> Shifts:
        """Smooth the kinks of triangles that fold at the edge of a turned face; lids and lips stay crisp."""
        despeckled = np.dstack([cv2.medianBlur(np.ascontiguousarray(shifts[..., k]), 3) for k in (0, 1)])
        soft = cv2.GaussianBlur(despeckled, (0, 0), _SMOOTH * self._width)
        smoothed: Shifts = soft + crisp * (despeckled - soft)
        smoothed[[0, -1]], smoothed[:, [0, -1]] = shifts[[0, -1]], shifts[:, [0, -1]]  # the border stays
        return smoothed

    def _seen(self, shifts: Shifts, window: Window) -> Picture:
        """Paint a window of the moved picture by its shifts."""
        at = (window.centres + shifts - 0.5).astype(np.float32)  # OpenCV's pixel centres lie at integers
        seen: Picture = cv2.remap(
            self._picture, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return seen


def _freedom(points: Floats, width: int, height: int, rim: float) -> Floats:
    """Freedom of points to move, (P, 1) in [0, 1]: 0 at the picture's border and beyond, 1 well inside."""
    inside: Floats = np.minimum(points, (width, height) - points).min(axis=1, keepdims=True)
    freedom: Floats = smoothstep(inside / (rim * min(width, height)))
    return freedom


def _background(points: Floats, width: int, height: int) -> Floats:
    """A grid of points over the picture and its border, except in or close to the face, (G, 2)."""
    step = min(width, height) / _GRID
    across, down = (np.linspace(0, side, round(side / step) + 1) for side in (width, height))
    grid: Floats = np.array(list(itertools.product(across, down)))
    hull = cv2.convexHull(points[list(OVAL)].astype(np.float32))
    inside = [cv2.pointPolygonTest(hull, (float(x), float(y)), True) for x, y in grid]
    border = (grid <= 0).any(axis=1) | (grid >= (width, height)).any(axis=1)
    kept: Floats = grid[border | (np.array(inside) < -step / 2)]
    return kept


def _followers(points: Floats, background: Floats) -> Floats:
    """Share of each outline point's movement that each background point follows, (G, 36)."""
    outline = points[list(OVAL)]
    far = np.linalg.norm(background[:, None] - outline, axis=2)
    reach = _FOLLOWS * float(np.ptp(outline[:, 0]))
    near = 1 / (far**2 + 1e-6)
    joins: Floats = near / near.sum(axis=1, keepdims=True)
    joins *= smoothstep(1 - far.min(axis=1, keepdims=True) / reach)
    return joins


def _delaunay(points: Floats, width: int, height: int) -> Triangles:
    """Delaunay triangles, (F, 3) indices, of the points inside the picture or on its border."""
    division = cv2.Subdiv2D((-1, -1, width + 2, height + 2))
    vertices: dict[int, int] = {}
    for index, (x, y) in enumerate(points):
        if 0 <= x <= width and 0 <= y <= height:
            vertices.setdefault(division.insert((float(x), float(y))), index)
    exact = points.astype(np.float32)  # as Subdiv2D keeps them
    where = {(float(exact[index, 0]), float(exact[index, 1])): index for index in vertices.values()}
    triangles = [
        [where.get((float(x), float(y)), -1) for x, y in corners.reshape(3, 2)]
        for corners in division.getTriangleList()
    ]
    return np.array([corners for corners in triangles if min(corners) >= 0], np.int64).reshape(-1, 3)
