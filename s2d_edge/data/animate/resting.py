"""Estimate a face at rest from one still, by separating person and expression.

Among the neutral stills of a set, faces differ by person and by pose; among the others, by expression as
well. Both are modelled as Gaussian about the mean resting face, with covariances Σp (person and pose) and Σe
(expression: the additional variation of the other stills). Of a still's deviation s the expected share of
expression is then Σe (Σp + Σe)⁻¹ s, the Wiener filter. Variation that no expression causes is kept, so a
smile disappears and a long nose remains. Labels are not used: a neutral still is treated like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import DataError
from s2d_edge.data.animate.mesh import MOUTH

Shape = NDArray[np.float64]  # (468, 2)
Shapes = NDArray[np.float64]  # (n, 468, 2)

FEWEST = 20  # faces of either kind; fewer cannot show how faces vary
# Corners of the eyes, bridge and tip of the nose, temples and forehead: points that expressions hardly move.
STEADY = [33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 10, 109, 338, 127, 356, 234, 454]
_EYES = [33, 133], [362, 263]
_KEPT_VARIANCE, _MOST_MODES = 0.995, 24
_FLOOR = 1e-2  # smallest variance of a mode, as a share of a point's variance
_ROUNDS = 4  # of aligning all to the mean and averaging again; two or three are enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The similarity that places a shape in a picture.

    Attributes:
        turn: (2, 2), a rotation times the distance between the eyes in pixels.
        shift: (2,) pixels.
    """

    turn: NDArray[np.float64]
    shift: NDArray[np.float64]

    def points(self, shape: Shape) -> Shape:
        """Convert a shape to points in the picture, pixels."""
        return shape @ self.turn.T + self.shift

    def shape(self, points: Shape) -> Shape:
        """Convert points in the picture, pixels, to a shape."""
        return np.linalg.solve(self.turn, (points - self.shift).T).T

    def moves(self, change: Shape) -> Shape:
        """Convert a change of the shape to movements in the picture, pixels."""
        return change @ self.turn.T


def place(shape: Shape, points: Shape) -> Placement:
    """The similarity that brings the steady points of ``shape`` nearest to those of ``points``."""
    ours, theirs = shape[STEADY], points[STEADY]
    a, b = ours - ours.mean(axis=0), theirs - theirs.mean(axis=0)
    # In the complex plane a similarity is one factor, and least squares one quotient.
    p, q = a @ np.array([1, 1j]), b @ np.array([1, 1j])
    factor = np.vdot(p, q) / np.vdot(p, p)
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return Placement(turn=turn, shift=theirs.mean(axis=0) - turn @ ours.mean(axis=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingFace:
    """The mean resting face, its variation, and that of expressions, over K modes.

    Shapes are upright, with the eyes a unit apart.

    Attributes:
        mean: (468, 2), the mean resting face.
        modes: (936, K), an orthonormal basis of the variation.
        person: (K, K), covariance among resting faces.
        expression: (K, K), covariance that expressions add to it.
    """

    mean: Shape
    modes: NDArray[np.float64]
    person: NDArray[np.float64]
    expression: NDArray[np.float64]

    def expression_of(self, points: Shape) -> Shape:
        """Estimate the share of expression in a face.

        Args:
            points: (468, 2) pixels, a face as found.

        Returns:
            (468, 2) pixels: the movement of its points from rest. Subtracted from ``points``, it leaves the
            head at rest, lips shut.
        """
        placed = place(self.mean, points)
        shape = placed.shape(points)
        rest = shape - self._expressed(self.modes.T @ (shape - self.mean).ravel())
        return placed.moves(shape - self._with_lips_shut(rest))

    def twitch(self, rng: np.random.Generator) -> Shape:
        """A random movement of a face at rest, (468, 2) in distances of the eyes.

        Faces at rest also differ in the parts that expressions move, such as a shut mouth or a held brow.
        This is such a difference between two of them.
        """
        root = np.linalg.cholesky(self.person)
        return self._expressed(root @ rng.standard_normal(len(root)))

    def _expressed(self, deviation: NDArray[np.float64]) -> Shape:
        """The expected share of expression in a deviation from the mean, given as coefficients."""
        return self._changed(self.expression @ np.linalg.solve(self.person + self.expression, deviation))

    def _with_lips_shut(self, rest: Shape) -> Shape:
        """The most likely face like this one whose lips meet.

        Many neutral photographs show people talking. Their mouths are closed along the way in which mouths
        open.
        """
        middle = slice(3, -3)
        opening = np.zeros((468, 2))
        opening[list(MOUTH.lower[middle]), 1] = 1.0
        opening[list(MOUTH.upper[middle]), 1] = -1.0
        opening /= len(MOUTH.upper[middle])
        seen = self.modes.T @ opening.ravel()
        spread = (self.person + self.expression) @ seen
        likely = spread / (seen @ spread) * max(float((opening * rest).sum()), 0.0)
        shut = rest - self._changed(likely)
        rims = list(MOUTH.upper), list(MOUTH.lower)
        shut[rims[0]] = shut[rims[1]] = (shut[rims[0]] + shut[rims[1]]) / 2
        return shut

    def _changed(self, coefficients: NDArray[np.float64]) -> Shape:
        return (self.modes @ coefficients).reshape(-1, 2)


def learn_resting_face(neutral: Shapes, others: Mapping[str, Shapes]) -> RestingFace:
    """Learn the resting face from the labelled faces of a set.

    Args:
        neutral: (n, 468, 2) points of faces at rest, pixels of any picture each.
        others: (n, 468, 2) points of the faces of every other label; each label has the same weight.

    Raises:
        DataError: fewer than ``FEWEST`` neutral faces, or others.
    """
    expressive = sum(len(faces) for faces in others.values())
    if min(len(neutral), expressive) < FEWEST:
        raise DataError(
            f"a face was found in {len(neutral)} neutral stills and {expressive} others; the resting face is "
            f"learned from at least {FEWEST} of either; give more stills"
        )
    mean = _mean_shape(neutral)
    resting = _deviations(neutral, mean)
    moved = {label: _deviations(faces, mean) for label, faces in others.items() if len(faces)}
    modes = _modes(np.concatenate([resting, *moved.values()]), most=min(len(resting), expressive) // 3)
    floor = _FLOOR * float(np.var(resting))
    person: NDArray[np.float64] = np.cov(resting @ modes, rowvar=False)
    person[np.diag_indices(len(person))] += floor
    spread = np.mean([_second_moment(each @ modes) for each in moved.values()], axis=0)
    return RestingFace(mean=mean, modes=modes, person=person, expression=_positive(spread - person, person))


def _mean_shape(faces: Shapes) -> Shape:
    """Procrustes mean of the faces, upright, with the eyes a unit apart and the origin between them."""
    mean = _upright(faces[0])
    for _ in range(_ROUNDS):
        mean = _upright(np.mean([place(mean, face).shape(face) for face in faces], axis=0))
    return mean


def _upright(shape: Shape) -> Shape:
    left, right = (shape[list(corners)].mean(axis=0) for corners in _EYES)
    x, y = right - left
    upright: Shape = (shape - (left + right) / 2) @ np.array([[x, -y], [y, x]]) / (x * x + y * y)
    return upright


def _deviations(faces: Shapes, mean: Shape) -> NDArray[np.float64]:
    """Deviations from the mean, each face placed over it, (n, 936)."""
    return np.stack([(place(mean, face).shape(face) - mean).ravel() for face in faces])


def _modes(deviations: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """The leading principal axes, as many as hold nearly all variance, (936, K)."""
    _, sizes, axes = np.linalg.svd(deviations - deviations.mean(axis=0), full_matrices=False)
    held = np.cumsum(sizes**2) / np.sum(sizes**2)
    count = min(int(np.searchsorted(held, _KEPT_VARIANCE)) + 1, most, _MOST_MODES)
    modes: NDArray[np.float64] = axes[:count].T
    return modes


def _second_moment(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows.T @ rows / len(rows)


def _positive(difference: NDArray[np.float64], person: NDArray[np.float64]) -> NDArray[np.float64]:
    """``difference`` without the directions in which it is negative, measured in units of ``person``."""
    root = np.linalg.cholesky(person)
    inverse = np.linalg.inv(root)
    ratio, axes = np.linalg.eigh(inverse @ difference @ inverse.T)
    scaled = root @ axes
    positive: NDArray[np.float64] = (scaled * np.maximum(ratio, 0.0)) @ scaled.T
    return positive
