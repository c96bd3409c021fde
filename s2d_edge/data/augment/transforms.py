"""Augment clips on tensors: one draw per clip, applied equally to all its frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

GREY = 127.5  # the colour of erased rectangles and of filled places, on the 0-255 scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """The geometry drawn for B clips.

    Attributes:
        mirrored: (B,) bool.
        warp: (B, 2, 3) maps output to input coordinates, both in [-1, 1]; the mirror is not part of it.
        filled: (B,) bool; True fills places outside the picture with grey, False with its reflection.
    """

    mirrored: Tensor
    warp: Tensor
    filled: Tensor

    def after(self, first: Tensor) -> Augmentation:
        """Compose with ``first`` (B, 2, 3), a warp applied before: still one resampling.

        Places that ``first`` brings in from outside are filled: it may move a face so far that a reflection
        shows a second one.
        """
        composed = first[:, :, :2] @ self.warp  # (B, 2, 2) @ (B, 2, 3)
        composed[:, :, 2] += first[:, :, 2]
        moved = (first != torch.eye(2, 3)).flatten(1).any(dim=1)
        return Augmentation(mirrored=self.mirrored, warp=composed, filled=self.filled | moved)

    def of(self, clips: Tensor) -> Augmentation:
        """Select the geometry of some of the clips by their indices, (b,) int64."""
        return Augmentation(mirrored=self.mirrored[clips], warp=self.warp[clips], filled=self.filled[clips])


def _uniform(count: int, reach: float, generator: torch.Generator) -> Tensor:
    """(count,) in [-reach, reach]."""
    return (2 * torch.rand(count, generator=generator) - 1) * reach


def draw_geometry(
    clips: int,
    generator: torch.Generator,
    *,
    flip: float = 0.0,
    rotate_deg: float = 0.0,
    scale: float = 0.0,
    shift: float = 0.0,
    crop: float = 1.0,
) -> Augmentation:
    """Draw a mirror and an affine transform for each of ``clips`` clips.

    Args:
        flip: probability of mirroring.
        rotate_deg: largest rotation, degrees.
        scale: largest zoom, as a fraction.
        shift: largest shift along an axis, as a fraction of the side.
        crop: smallest area of a random resized crop, as a fraction of the picture, with sides 3:4 to 4:3; 1
            takes the whole picture.
    """
    mirrored = torch.rand(clips, generator=generator) < flip
    angle = _uniform(clips, math.radians(rotate_deg), generator)
    size = 1 + _uniform(clips, scale, generator)
    cos, sin = torch.cos(angle) * size, torch.sin(angle) * size
    x, y = _uniform(clips, 2 * shift, generator), _uniform(clips, 2 * shift, generator)
    warp = torch.stack((cos, -sin, x, sin, cos, y), dim=1).unflatten(1, (2, 3))  # (B, 6) -> (B, 2, 3)
    if crop < 1:
        sides, offset = _draw_crop(clips, crop, generator)
        centre = torch.baddbmm(warp[:, :, 2:], warp[:, :, :2], offset.unsqueeze(2))  # (B, 2, 1)
        warp = torch.cat((warp[:, :, :2] * sides.unsqueeze(1), centre), dim=2)
    return Augmentation(mirrored=mirrored, warp=warp, filled=torch.zeros(clips, dtype=torch.bool))


def _draw_crop(clips: int, smallest: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(B, 2) width and height as fractions, and (B, 2) their centre, where the picture spans [-1, 1]."""
    area = smallest + (1 - smallest) * torch.rand(clips, generator=generator)
    ratio = torch.exp(_uniform(clips, math.log(4 / 3), generator))
    sides = torch.stack((torch.sqrt(area * ratio), torch.sqrt(area / ratio)), dim=1).clamp(max=1)
    offset = (1 - sides) * (2 * torch.rand(clips, 2, generator=generator) - 1)
    return sides, offset


def warp_maps(maps: Tensor, drawn: Augmentation) -> Tensor:
    """Resample (B, C, H, W) landmark maps, already mirrored, like the pictures; outside is 0."""
    return _resample(maps, drawn.warp, drawn.filled, fill=0.0)


def _resample(maps: Tensor, warp: Tensor, filled: Tensor, *, fill: float) -> Tensor:
    grid = F.affine_grid(warp.to(maps), list(maps.shape), align_corners=False)  # (B, H, W, 2)
    warped: Tensor = F.grid_sample(maps, grid, padding_mode="reflection", align_corners=False)
    if filled.any():
        outside = (grid.abs() > 1).any(dim=3) & filled.to(maps.device)[:, None, None]  # (B, H, W)
        warped.masked_fill_(outside.unsqueeze(1), fill)
    return warped


def apply_geometry(clip: Tensor, drawn: Augmentation) -> Tensor:
    """Mirror, then warp clips: (B, T, H, W, 3) uint8 or float in 0-255 -> float32 of that shape."""
    t = clip.shape[1]
    # To read the mirrored picture at x is to read the picture at -x.
    warp = drawn.warp.clone()
    warp[drawn.mirrored, 0] *= -1
    # The frames of a clip share their warp, so they travel as channels: (B, T, H, W, 3) -> (B, T·3, H, W)
    channels = clip.permute(0, 1, 4, 2, 3).flatten(1, 2).float()
    moved: Tensor = _resample(channels, warp, drawn.filled, fill=GREY).unflatten(1, (t, 3))  # (B, T, 3, H, W)
    return moved.permute(0, 1, 3, 4, 2)


def draw_colour(
    clips: int,
    generator: torch.Generator,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
) -> Tensor | None:
    """Draw a change of colour for each of ``clips`` clips.

    Args:
        brightness, contrast, saturation: largest change, as a fraction.

    Returns:
        (B, 3) factors of brightness, contrast and saturation; None where nothing may change.
    """
    if not (brightness or contrast or saturation):
        return None
    return torch.stack(
        [1 + _uniform(clips, reach, generator) for reach in (brightness, contrast, saturation)], dim=1
    )


def apply_colour(clip: Tensor, factors: Tensor | None) -> Tensor:
    """Change colours by the factors of :func:`draw_colour`: (B, T, H, W, 3) float in 0-255 -> that shape."""
    if factors is None:
        return clip
    bright, contrasted, saturated = factors.to(clip.device).T.reshape(3, -1, 1, 1, 1, 1)  # (B, 1, 1, 1, 1)
    # In turn x ← b·x, then m + c(x - m) with the clip's mean m, then g + s(x - g) with each pixel's grey g;
    # all three are linear, so they are one pass: s·c·b·x + (1 - s)·c·b·g + (1 - c)·b·m.
    grey = clip.mean(dim=4, keepdim=True)
    mean = grey.mean(dim=(1, 2, 3, 4), keepdim=True)
    gain = contrasted * bright
    offset = (1 - saturated) * gain * grey + (1 - contrasted) * bright * mean
    return torch.addcmul(offset, clip, saturated * gain).clamp_(0, 255)


def draw_rectangles(clips: int, generator: torch.Generator, *, probability: float) -> Tensor | None:
    """Draw, with that probability, one rectangle for each of ``clips`` clips.

    It covers 2 to 20 % of the picture, with sides 1:2 to 2:1. In S2D's official code (timm's random erasing,
    mode ``pixel``, the place drawn once per clip) it covers 2 to 33 %, with sides 3:10 to 10:3, and is filled
    with normal noise, drawn for every frame and pixel.

    Returns:
        (B, 4) left, top, right, bottom as fractions, without area for a clip that keeps its picture; None
        where every clip does.
    """
    if not probability:
        return None
    chosen = torch.rand(clips, generator=generator) < probability
    area = 0.02 + 0.18 * torch.rand(clips, generator=generator)
    ratio = torch.exp(_uniform(clips, math.log(2.0), generator))
    tall, wide = torch.sqrt(area * ratio), torch.sqrt(area / ratio)
    top = torch.rand(clips, generator=generator) * (1 - tall).clamp(min=0)
    left = torch.rand(clips, generator=generator) * (1 - wide).clamp(min=0)
    return torch.stack((left, top, left + wide, top + tall), dim=1) * chosen[:, None]


def erase(clip: Tensor, rectangles: Tensor | None) -> Tensor:
    """Grey out the rectangles of :func:`draw_rectangles`, each in every frame of its clip.

    Args:
        clip: (B, T, H, W, 3) float in 0-255.
    """
    if rectangles is None:
        return clip
    _, _, height, width, _ = clip.shape
    left, top, right, bottom = (side[:, None] for side in rectangles.unbind(dim=1))  # (B, 1) each
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    in_rows, in_columns = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    inside = in_rows.unsqueeze(2) & in_columns.unsqueeze(1)  # (B, H, W)
    return clip.masked_fill(inside[:, None, :, :, None].to(clip.device), GREY)
