"""Augmentation of clips on tensors: one draw per clip, applied to all its frames alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

GREY = 127.5  # what an erased rectangle shows, and what is filled, on the 0-255 scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What is drawn for B clips.

    Attributes:
        mirrored: (B,) bool.
        warp: (B, 2, 3) maps output to input coordinates, both in [-1, 1]; the mirror is not part of it.
        filled: (B,) bool, where the outside of the picture is filled evenly; elsewhere it is the picture,
            reflected.
    """

    mirrored: Tensor
    warp: Tensor
    filled: Tensor

    def after(self, first: Tensor) -> Augmentation:
        """The same, done to clips that ``first`` (B, 2, 3) has warped: still one resampling.

        What ``first`` brings in from outside is filled: it may move a face so far that a reflection shows a
        second one.
        """
        composed = first[:, :, :2] @ self.warp  # (B, 2, 2) @ (B, 2, 3)
        composed[:, :, 2] += first[:, :, 2]
        moved = (first != torch.eye(2, 3)).flatten(1).any(dim=1)
        return Augmentation(mirrored=self.mirrored, warp=composed, filled=self.filled | moved)


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
    """Resample (B, C, H, W) landmark maps, already mirrored, as the pictures are; filled with 0."""
    return _resample(maps, drawn.warp, drawn.filled, fill=0.0)


def _resample(maps: Tensor, warp: Tensor, filled: Tensor, *, fill: float) -> Tensor:
    grid = F.affine_grid(warp.to(maps), list(maps.shape), align_corners=False)  # (B, H, W, 2)
    warped: Tensor = F.grid_sample(maps, grid, padding_mode="reflection", align_corners=False)
    if filled.any():
        outside = (grid.abs() > 1).any(dim=3) & filled.to(maps.device)[:, None, None]  # (B, H, W)
        warped.masked_fill_(outside.unsqueeze(1), fill)
    return warped


def apply_geometry(clip: Tensor, drawn: Augmentation) -> Tensor:
    """(B, T, H, W, 3) uint8 or float in 0-255 -> the same shape, float32: mirrored, then warped."""
    t = clip.shape[1]
    # To read the mirrored picture at x is to read the picture at -x.
    warp = drawn.warp.clone()
    warp[drawn.mirrored, 0] *= -1
    # The frames of a clip move alike, so they travel as channels: (B, T, H, W, 3) -> (B, T·3, H, W)
    channels = clip.permute(0, 1, 4, 2, 3).flatten(1, 2).float()
    moved: Tensor = _resample(channels, warp, drawn.filled, fill=GREY).unflatten(1, (t, 3))  # (B, T, 3, H, W)
    return moved.permute(0, 1, 3, 4, 2)


def jitter_colour(
    clip: Tensor,
    generator: torch.Generator,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
) -> Tensor:
    """(B, T, H, W, 3) float in 0-255 -> the same shape, with brightness, contrast and saturation changed.

    Args:
        brightness, contrast, saturation: largest change, as a fraction.
    """
    if not (brightness or contrast or saturation):
        return clip
    b = len(clip)

    def factor(reach: float) -> Tensor:
        return (1 + _uniform(b, reach, generator)).to(clip.device).view(b, 1, 1, 1, 1)

    bright, contrasted, saturated = factor(brightness), factor(contrast), factor(saturation)
    # In turn x ← b·x, then m + c(x - m) with the clip's mean m, then g + s(x - g) with each pixel's grey g;
    # all three are linear, so they are one pass: s·c·b·x + (1 - s)·c·b·g + (1 - c)·b·m.
    grey = clip.mean(dim=4, keepdim=True)
    mean = grey.mean(dim=(1, 2, 3, 4), keepdim=True)
    gain = contrasted * bright
    offset = (1 - saturated) * gain * grey + (1 - contrasted) * bright * mean
    return torch.addcmul(offset, clip, saturated * gain).clamp_(0, 255)


def erase(clip: Tensor, generator: torch.Generator, *, probability: float) -> Tensor:
    """Grey out, with that probability, one rectangle in every frame of a clip, at the same place.

    It covers 2 to 20 % of the picture, with sides 1:2 to 2:1. In S2D's official code (timm's random erasing,
    mode ``pixel``, the place drawn once per clip) it covers 2 to 33 %, with sides 3:10 to 10:3, and is filled
    with normal noise, drawn anew for every frame and pixel.

    Args:
        clip: (B, T, H, W, 3) float in 0-255.
    """
    if not probability:
        return clip
    b, _, height, width, _ = clip.shape
    chosen = torch.rand(b, generator=generator) < probability
    area = 0.02 + 0.18 * torch.rand(b, generator=generator)
    ratio = torch.exp(_uniform(b, math.log(2.0), generator))
    tall, wide = torch.sqrt(area * ratio), torch.sqrt(area / ratio)
    top = torch.rand(b, generator=generator) * (1 - tall).clamp(min=0)
    left = torch.rand(b, generator=generator) * (1 - wide).clamp(min=0)
    rows = (torch.arange(height) + 0.5) / height
    columns = (torch.arange(width) + 0.5) / width
    in_rows = (rows >= top[:, None]) & (rows < (top + tall)[:, None])  # (B, H)
    in_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])  # (B, W)
    inside = chosen[:, None, None] & in_rows[:, :, None] & in_columns[:, None, :]  # (B, H, W)
    return clip.masked_fill(inside[:, None, :, :, None].to(clip.device), GREY)
