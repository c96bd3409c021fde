"""Prepared clips as batches of tensors: random and augmented for training, fixed for validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2d_edge.data.augment.mixing import draw_mixture
from s2d_edge.data.augment.transforms import warp_maps
from s2d_edge.data.preparing.prepare import PreparedClips
from s2d_edge.train.plan.settings import AugmentSettings
from s2d_edge.train.supply.landmark_maps import LandmarkMaps
from s2d_edge.train.supply.target import Target
from s2d_edge.train.supply.taught import Taught
from s2d_edge.train.supply.views import Views, below, draw_views, seeded_views


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blend:
    """Mixing partners of B clips.

    Attributes:
        target: the partners' targets.
        share: (B,) float, the fraction that each clip keeps of itself.
        taught: as in :class:`Batch`, the partners'.
    """

    target: Target
    share: Tensor
    taught: Tensor | None = None


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
        taught: (B, M, K) logits of M teachers for these views; None where none are kept.
    """

    clip: Tensor
    target: Target
    blend: Blend | None
    maps: Tensor | None
    numbers: Tensor | None
    clips: NDArray[np.int64]
    taught: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to ``device``."""

        def moved(x: Tensor) -> Tensor:
            return x.to(device, non_blocking=True)

        def moved_if_any(x: Tensor | None) -> Tensor | None:
            return None if x is None else moved(x)

        return Batch(
            clip=moved(self.clip),
            target=self.target.to(device),
            blend=self.blend
            and Blend(
                target=self.blend.target.to(device),
                share=moved(self.blend.share),
                taught=moved_if_any(self.blend.taught),
            ),
            maps=moved_if_any(self.maps),
            numbers=moved_if_any(self.numbers),
            clips=self.clips,
            taught=moved_if_any(self.taught),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Feed:
    """Source of a stage's batches.

    Attributes:
        clips: the prepared clips.
        target: of each clip.
        single_frames: the image stage: one frame of each clip, T = 1.
        maps: landmark maps of all frames, if they are cached.
        taught: the views to train on, where teachers have seen them; else each batch draws its own.
    """

    clips: PreparedClips
    target: Target
    single_frames: bool
    maps: LandmarkMaps | None
    taught: Taught | None = None

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
        if self.taught is None:
            views = draw_views(self.clips, chosen, augment, generator, single_frames=self.single_frames)
            taught = None
        else:
            number = below(np.full(len(chosen), self.taught.views), generator)
            views = self.seeded_views(chosen, self.taught.seeds[chosen, number].tolist(), augment)
            taught = self.taught.of(chosen, number)
        mixture = draw_mixture(len(chosen), generator, mixup=augment.mixup, cutmix=augment.cutmix)
        # From here on only the pictures that are needed: the part's, and those mixed into it.
        mine = torch.arange(len(chosen)) if part is None else torch.from_numpy(part)
        blend, needed = None, mine
        if mixture is not None:
            others = self.target.of(torch.from_numpy(chosen)[mixture.partner[mine]])
            theirs = None if taught is None else taught[mixture.partner[mine]]
            blend = Blend(target=others, share=mixture.share[mine], taught=theirs)
            needed, mixture = mixture.of(mine)
        numbers = self._numbers(views.rows[mine.numpy()])
        views = views.of(needed)
        clip = views.pictures(self.clips.frames)
        if mixture is not None:
            channels = clip.permute(0, 1, 4, 2, 3).flatten(1, 2)  # (P, T, H, W, 3) -> (P, T·3, H, W)
            clip = mixture.pictures(channels).unflatten(1, (-1, 3)).permute(0, 1, 3, 4, 2)  # and back
        maps = None
        if self.maps is not None:
            seen = self.maps.gather(views.index, views.geometry.mirrored)  # (P, T, C, h, w)
            # Maps move as the picture does; all frames of a clip move equally, so they are channels here.
            maps = warp_maps(seen.flatten(1, 2), views.geometry)
            if mixture is not None:  # treats the landmark network as linear
                maps = mixture.pictures(maps)
            maps = maps.unflatten(1, seen.shape[1:3])  # (B, T or 1, C, h, w)
            maps = maps.expand(-1, views.frames, -1, -1, -1).flatten(0, 1)  # (B·T, C, h, w)
        own = chosen[mine.numpy()]
        return Batch(
            clip=clip.expand(-1, views.frames, -1, -1, -1),
            target=self.target.of(own),
            blend=blend,
            maps=maps,
            numbers=numbers,
            clips=own,
            taught=None if taught is None else taught[mine],
        )

    def seeded_views(
        self, chosen: NDArray[np.int64], seeds: Sequence[int], augment: AugmentSettings
    ) -> Views:
        """Draw the view of each chosen clip that its seed stands for."""
        return seeded_views(self.clips, chosen, seeds, augment, single_frames=self.single_frames)

    def show(self, views: Views) -> tuple[Tensor, Tensor | None]:
        """Make pictures of views that are not mixed: (B, T, H, W, 3) float32, 0-255.

        Returns:
            The pictures, and their places on the model's grid as in :class:`Batch`.
        """
        clip = views.pictures(self.clips.frames)
        return clip.expand(-1, views.frames, -1, -1, -1), self._numbers(views.rows)

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
