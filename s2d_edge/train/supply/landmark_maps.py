"""Cached maps of the frozen landmark network, one for every prepared frame and one for its mirror image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2d_edge.core.console import Console
from s2d_edge.model.s2d import S2D

LIMIT_BYTES = 4 << 30  # larger maps are not cached
_BATCH_FRAMES = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LandmarkMaps:
    """Maps of F frames.

    Attributes:
        values: (F, 2, C, h, w) float16, of the frame and its mirror image; or (F, 1, C, h, w), unmirrored.
    """

    values: Tensor

    def gather(self, index: NDArray[np.int64], mirrored: Tensor) -> Tensor:
        """Look up the maps of clips.

        Args:
            index: (B, T) frame indices.
            mirrored: (B,) bool.

        Returns:
            (B, T, C, h, w) float32.
        """
        side = mirrored.long().unsqueeze(1).expand(*index.shape)
        return self.values[torch.from_numpy(index), side].float()


def maps_bytes(model: S2D, pictures: int) -> int:
    """Memory in bytes that :func:`compute_maps` takes for ``pictures`` frames and mirror images."""
    return pictures * model.config.landmark.channels * model.config.vit.grid**2 * 2


def compute_maps(
    model: S2D,
    frames: NDArray[np.uint8],
    device: torch.device,
    console: Console,
    *,
    title: str,
    mirrored: bool = True,
) -> LandmarkMaps:
    """Run the landmark network over ``frames`` (F, S, S, 3) uint8 RGB.

    Args:
        model: on ``device``; only its landmark network is used.
        title: for the progress bar.
        mirrored: also over their mirror images.
    """
    channels, grid = model.config.landmark.channels, model.config.vit.grid
    values = torch.empty((len(frames), 1 + mirrored, channels, grid, grid), dtype=torch.float16)
    with console.progress(f"landmark maps of {title}", len(frames)) as advance:
        for start in range(0, len(frames), _BATCH_FRAMES):
            pixels = torch.from_numpy(np.array(frames[start : start + _BATCH_FRAMES])).to(
                device
            )  # (b, S, S, 3)
            for side, seen in enumerate((pixels, pixels.flip(2)) if mirrored else (pixels,)):
                maps = model.landmark_maps(model.normalise_pictures(seen))
                values[start : start + len(pixels), side] = maps.half().cpu()
            advance(len(pixels))
    return LandmarkMaps(values=values)
