"""Prepared clips as batches of tensors: random and augmented for training, fixed for validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2d_edge.data.augment.mixing import draw_mixture
from s2d_edge.data.augment.randaugment import draw_operations, recolour, warps
from s2d_edge.data.augment.transforms import (
    apply_colour,
    apply_geometry,
    draw_colour,
    draw_geometry,
    draw_rectangles,
    erase,
    warp_maps,
)
from s2d_edge.data.preparing.prepare import PreparedClips
from s2d_edge.train.plan.settings import AugmentSettings
from s2d_edge.train.supply.landmark_maps import LandmarkMaps
from s2d_edge.train.supply.target import Target


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blend:
    """Mixing partners of B clips.

    Attributes:
        target: the partners' targets.
        share: (B,) float, the fraction that each clip keeps of itself.
    """

    target: Target
    share: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """One batch of B clips.

    Attributes:
        clip: (B, T, H, W, 3) RGB in 0-255, float32 (training) or uint8.
        target: the clips' own targets.
        blend: the mixing partners, or None.
        maps: (B·T, C, h, w) landmark maps, or None where the model computes them.
        numbers: (B, T) float64, where the frames lie on the model's grid; None where they are a period apart.
        clips: (B,) indices of the prepared clips they come from.
    """

    clip: Tensor
    target: Target
    blend: Blend | None
    maps: Tensor | None
    numbers: Tensor | None
    clips: NDArray[np.int64]

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to ``device``."""

        def moved(x: Tensor) -> Tensor:
            return x.to(device, non_blocking=True)

        return Batch(
            clip=moved(self.clip),
            target=self.target.to(device),
            blend=self.blend and Blend(target=self.blend.target.to(device), share=moved(self.blend.share)),
            maps=None if self.maps is None else moved(self.maps),
            numbers=None if self.numbers is None else moved(self.numbers),
            clips=self.clips,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feed:
    """Source of a stage's batches.

    Attributes:
        clips: the prepared clips.
        target: of each clip.
        single_frames: the image stage: one frame of each clip, T = 1.
        maps: landmark maps of all frames, if they are cached.
    """

    clips: PreparedClips
    target: Target
    single_frames: bool
    maps: LandmarkMaps | None

    def training_batch(
        self,
        chosen: NDArray[np.int64],
        augment: AugmentSettings,
        generator: torch.Generator,
        part: NDArray[np.int64] | None = None,
    ) -> Batch:
        """Draw a random window (or frame) of each chosen clip, augmented; ``generator`` makes every draw.

        Args:
            part: (b,) positions in ``chosen`` to make a batch of; None takes all. Draws are made for all of
                ``chosen``, so that parts add up to the whole batch in whichever process they are made.
        """
        rows = self.clips.first_window[chosen] + _below(self.clips.window_counts[chosen], generator)
        index = self.clips.windows[rows]  # (B, T)
        if self.single_frames:
            frame = _below(np.full(len(index), index.shape[1]), generator)
            index = index[np.arange(len(index)), frame][:, None]  # (B, 1)
        frames = index.shape[1]
        if (index == index[:, :1]).all():  # stills: change one frame, then repeat it
            index = index[:, :1]
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
        geometry = geometry.after(warps(operations))
        colour = draw_colour(
            len(index),
            generator,
            brightness=augment.brightness,
            contrast=augment.contrast,
            saturation=augment.saturation,
        )
        rectangles = draw_rectangles(len(index), generator, probability=augment.erase)
        mixture = draw_mixture(len(index), generator, mixup=augment.mixup, cutmix=augment.cutmix)
        # From here on only the pictures that are needed: the part's, and those mixed into it.
        mine = torch.arange(len(index)) if part is None else torch.from_numpy(part)
        blend, needed = None, mine
        if mixture is not None:
            others = self.target.of(torch.from_numpy(chosen)[mixture.partner[mine]])
            blend = Blend(target=others, share=mixture.share[mine])
            needed, mixture = mixture.of(mine)
        index, geometry = index[needed.numpy()], geometry.of(needed)
        clip = apply_geometry(torch.from_numpy(self.clips.frames[index]), geometry)
        clip = recolour(clip, [operations[k] for k in needed])
        clip = apply_colour(clip, None if colour is None else colour[needed])
        clip = erase(clip, None if rectangles is None else rectangles[needed])
        if mixture is not None:
            channels = clip.permute(0, 1, 4, 2, 3).flatten(1, 2)  # (P, T, H, W, 3) -> (P, T·3, H, W)
            clip = mixture.pictures(channels).unflatten(1, (-1, 3)).permute(0, 1, 3, 4, 2)  # and back
        maps = None
        if self.maps is not None:
            seen = self.maps.gather(index, geometry.mirrored)  # (P, T, C, h, w)
            # Maps move as the picture does; all frames of a clip move equally, so they are channels here.
            maps = warp_maps(seen.flatten(1, 2), geometry)
            if mixture is not None:  # treats the landmark network as linear
                maps = mixture.pictures(maps)
            maps = maps.unflatten(1, seen.shape[1:3])  # (B, T or 1, C, h, w)
            maps = maps.expand(-1, frames, -1, -1, -1).flatten(0, 1)  # (B·T, C, h, w)
        own = chosen[mine.numpy()]
        return Batch(
            clip=clip.expand(-1, frames, -1, -1, -1),
            target=self.target.of(own),
            blend=blend,
            maps=maps,
            numbers=self._numbers(rows[mine.numpy()]),
            clips=own,
        )

    def validation_batches(
        self, clips_per_batch: int, *, first: int = 0, step: int = 1
    ) -> Iterator[Batch | None]:
        """Yield every window of every clip, or its middle frame, in order and unchanged.

        Args:
            first, step: index of the first batch, and distance to the next, as for ranks that share the
                batches. All get equally many; None stands for a missing one.
        """
        owner = np.repeat(np.arange(len(self.clips)), self.clips.window_counts)
        for round_start in range(0, len(owner), clips_per_batch * step):
            start = round_start + first * clips_per_batch
            if start >= len(owner):
                yield None
                continue
            index = self.clips.windows[start : start + clips_per_batch]  # (b, T)
            if self.single_frames:
                index = index[:, [(index.shape[1] - 1) // 2]]  # (b, 1)
            clips = owner[start : start + clips_per_batch]
            maps = None
            if self.maps is not None:
                as_seen = torch.zeros(len(index), dtype=torch.bool)
                maps = self.maps.gather(index, as_seen).flatten(0, 1)  # (b·T, C, h, w)
            yield Batch(
                clip=torch.from_numpy(self.clips.frames[index]),
                target=self.target.of(clips),
                blend=None,
                maps=maps,
                numbers=self._numbers(slice(start, start + clips_per_batch)),
                clips=clips,
            )

    def _numbers(self, rows: NDArray[np.int64] | slice) -> Tensor | None:
        """Where the frames of these windows lie on the model's grid."""
        if self.single_frames or self.clips.numbers is None:
            return None
        return torch.from_numpy(self.clips.numbers[rows])


def _below(limits: NDArray[np.int64], generator: torch.Generator) -> NDArray[np.int64]:
    """Draw one whole number in [0, limit) for each limit."""
    draws = torch.rand(len(limits), generator=generator, dtype=torch.float64).numpy()
    return (draws * limits).astype(np.int64)
