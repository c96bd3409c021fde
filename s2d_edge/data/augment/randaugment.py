"""RandAugment (arXiv 1909.13719) for clips: a few operations drawn per clip, equal for all its frames.

The policy is timm's ``rand-mM-nN-mstd0.5-inc1`` (``timm/data/auto_augment.py``): N of fifteen operations,
with replacement, each then applied with probability 1/2, at a level drawn around M of 10, where a higher
level changes a picture more.

timm works through the operations in the order drawn. Here those that move the picture come first, as one
affine transform. So the picture is resampled once, landmark maps can follow, and what one operation moves out
of the picture another can bring back. Those that change its colours
(:mod:`s2d_edge.data.augment.recolour`) follow, on the pixels that the crop has left.

Measured on one core, on clips of 16 frames: four operations cost about as much as the resampling that every
clip goes through, 8 % of a training step of the ``demo`` model (112 pixels), below 0.2 % of one of
``small-112`` or ``base``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TOP = 10.0  # the magnitude of full severity
_SPREAD = 0.5  # standard deviation of the magnitude
_APPLIED = 0.5  # probability of an operation that was drawn

RECOLOURING = (
    "autocontrast",
    "equalize",
    "invert",
    "posterize",
    "solarize",
    "solarize_add",
    "colour",
    "contrast",
    "brightness",
    "sharpness",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of RandAugment and its level.

    Attributes:
        name: one of :data:`NAMES`.
        level: in [-1, 1]: its size is the severity, its sign the direction of the turn, shift or change.
    """

    name: str
    level: float


def _rotate(level: float) -> list[list[float]]:
    angle = math.radians(30 * level)
    return [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]


def _shear_x(level: float) -> list[list[float]]:
    shear = 0.3 * level  # about the top left corner, which lies at (-1, -1)
    return [[1, shear, shear], [0, 1, 0], [0, 0, 1]]


def _shear_y(level: float) -> list[list[float]]:
    shear = 0.3 * level
    return [[1, 0, 0], [shear, 1, shear], [0, 0, 1]]


def _translate_x(level: float) -> list[list[float]]:
    return [[1, 0, 2 * 0.45 * level], [0, 1, 0], [0, 0, 1]]  # of the side, which is 2 long


def _translate_y(level: float) -> list[list[float]]:
    return [[1, 0, 0], [0, 1, 2 * 0.45 * level], [0, 0, 1]]


_MOVING: dict[str, Callable[[float], list[list[float]]]] = {
    "rotate": _rotate,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
}
NAMES = (*_MOVING, *RECOLOURING)


def draw_operations(
    clips: int, generator: torch.Generator, *, count: int, magnitude: float
) -> list[tuple[Operation, ...]]:
    """Draw the operations of each of ``clips`` clips.

    Args:
        count: operations drawn per clip; half of them, on average, are applied. 0 draws nothing.
        magnitude: mean severity, in [0, 10].
    """
    if not count:
        return [()] * clips
    size = (clips, count)
    which = torch.randint(len(NAMES), size, generator=generator)
    applied = torch.rand(size, generator=generator) < _APPLIED
    noisy = magnitude + _SPREAD * torch.randn(size, generator=generator)
    sign = torch.randint(2, size, generator=generator) * 2 - 1
    level = sign * noisy.clamp(0, TOP) / TOP
    return [
        tuple(Operation(NAMES[which[b, k]], float(level[b, k])) for k in range(count) if applied[b, k])
        for b in range(clips)
    ]


def warps(operations: Sequence[tuple[Operation, ...]]) -> Tensor:
    """Compose the moving operations of B clips: (B, 2, 3), output to input coordinates in [-1, 1]."""
    composed = torch.eye(3).repeat(len(operations), 1, 1)
    for b, drawn in enumerate(operations):
        for operation in drawn:
            if operation.name in _MOVING:
                # The later operation reads the earlier one's picture: I₂(x) = I₁(A₂x) = I₀(A₁A₂x).
                composed[b] = composed[b] @ torch.tensor(_MOVING[operation.name](operation.level))
    return composed[:, :2]


def recolour(clip: Tensor, operations: Sequence[tuple[Operation, ...]]) -> Tensor:
    """Recolour B clips by their operations: (B, T, H, W, 3) float in 0-255 -> the same shape and range."""
    if not any(operation.name in RECOLOURING for drawn in operations for operation in drawn):
        return clip
    from s2d_edge.data.augment.recolour import RECOLOUR  # kornia takes its time to import

    changed = clip.clone()
    for one, drawn in zip(changed, operations, strict=True):
        todo = [operation for operation in drawn if operation.name in RECOLOUR]
        if todo:
            frames = one.permute(0, 3, 1, 2) / 255  # (T, H, W, 3) -> (T, 3, H, W)
            for operation in todo:
                frames = RECOLOUR[operation.name](frames, operation.level)
            one.copy_(frames.permute(0, 2, 3, 1) * 255)
    return changed
