"""Random views of clips: which frames are seen of each, and how they are changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2d_edge.data.augment.randaugment import Operation, draw_operations, recolour, warps
from s2d_edge.data.augment.transforms import (
    Augmentation,
    apply_colour,
    apply_geometry,
    draw_colour,
    draw_geometry,
    draw_rectangles,
    erase,
)
from s2d_edge.data.preparing.prepare import PreparedClips
from s2d_edge.train.plan.settings import AugmentSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Views:
    """One view each of B clips.

    Attributes:
        rows: (B,) int64, the windows they show.
        index: (B, T) int64, their frames; (B, 1) where all are stills.
        frames: T.
        geometry: mirror and warp.
        operations: of RandAugment.
        colour: (B, 3) factors, or None.
        rectangles: (B, 4) to erase, or None.
    """

    rows: NDArray[np.int64]
    index: NDArray[np.int64]
    frames: int
    geometry: Augmentation
    operations: Sequence[tuple[Operation, ...]]
    colour: Tensor | None
    rectangles: Tensor | None

    def of(self, clips: Tensor) -> Views:
        """Select some of the views by their numbers, (b,) int64."""
        return Views(
            rows=self.rows[clips.numpy()],
            index=self.index[clips.numpy()],
            frames=self.frames,
            geometry=self.geometry.of(clips),
            operations=[self.operations[k] for k in clips],
            colour=None if self.colour is None else self.colour[clips],
            rectangles=None if self.rectangles is None else self.rectangles[clips],
        )

    def pictures(self, frames: NDArray[np.uint8]) -> Tensor:
        """The views of the prepared ``frames`` (F, S, S, 3): (B, T or 1, S, S, 3) float32, 0-255."""
        clip = apply_geometry(torch.from_numpy(frames[self.index]), self.geometry)
        clip = recolour(clip, self.operations)
        clip = apply_colour(clip, self.colour)
        return erase(clip, self.rectangles)


def draw_views(
    clips: PreparedClips,
    chosen: NDArray[np.int64],
    augment: AugmentSettings,
    generator: torch.Generator,
    *,
    single_frames: bool,
) -> Views:
    """Draw a random window (or frame) of each chosen clip, and its changes; ``generator`` makes every draw.

    Nothing depends on the size of the pictures, so models of different sizes can be shown equal views.
    """
    rows = clips.first_window[chosen] + below(clips.window_counts[chosen], generator)
    index = clips.windows[rows]  # (B, T)
    if single_frames:
        frame = below(np.full(len(index), index.shape[1]), generator)
        index = index[np.arange(len(index)), frame][:, None]  # (B, 1)
    geometry = draw_geometry(
        len(index),
        generator,
        flip=augment.flip,
        rotate_deg=augment.rotate_deg,
        scale=augment.scale,
        shift=augment.shift,
        crop=augment.crop,
    )
    operations = draw_operations(
        len(index), generator, count=augment.randaugment_ops, magnitude=augment.randaugment_magnitude
    )
    colour = draw_colour(
        len(index),
        generator,
        brightness=augment.brightness,
        contrast=augment.contrast,
        saturation=augment.saturation,
    )
    return Views(
        rows=rows,
        index=_stilled(index),
        frames=index.shape[1],
        geometry=geometry.after(warps(operations)),
        operations=operations,
        colour=colour,
        rectangles=draw_rectangles(len(index), generator, probability=augment.erase),
    )


def seeded_views(
    clips: PreparedClips,
    chosen: NDArray[np.int64],
    seeds: Sequence[int],
    augment: AugmentSettings,
    *,
    single_frames: bool,
) -> Views:
    """Draw a view of each chosen clip by a seed of its own, so that it is the same in every batch."""
    each = [
        draw_views(
            clips,
            chosen[k : k + 1],
            augment,
            torch.Generator().manual_seed(seed),
            single_frames=single_frames,
        )
        for k, seed in enumerate(seeds)
    ]
    frames = each[0].frames
    index = np.concatenate([np.broadcast_to(one.index, (1, frames)) for one in each])
    geometries = [one.geometry for one in each]
    return Views(
        rows=np.concatenate([one.rows for one in each]),
        index=_stilled(index),
        frames=frames,
        geometry=Augmentation(
            mirrored=torch.cat([one.mirrored for one in geometries]),
            warp=torch.cat([one.warp for one in geometries]),
            filled=torch.cat([one.filled for one in geometries]),
        ),
        operations=[one.operations[0] for one in each],
        colour=_joined([one.colour for one in each]),
        rectangles=_joined([one.rectangles for one in each]),
    )


def below(limits: NDArray[np.int64], generator: torch.Generator) -> NDArray[np.int64]:
    """Draw one whole number in [0, limit) for each limit."""
    draws = torch.rand(len(limits), generator=generator, dtype=torch.float64).numpy()
    return (draws * limits).astype(np.int64)


def _stilled(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """(B, T) frames; (B, 1) where all clips are stills: one frame is changed, and then repeated."""
    return index[:, :1] if (index == index[:, :1]).all() else index


def _joined(each: Sequence[Tensor | None]) -> Tensor | None:
    """Concatenate what was drawn; all are None, or none is."""
    drawn = [one for one in each if one is not None]
    return torch.cat(drawn) if drawn else None
