"""Pictures of faces whose 68 points are known, and random crops of them for training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.model_config import LANDMARK_INPUT
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.augment.transforms import apply_colour, draw_colour
from s2d_edge.data.avatars import read_landmarks
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.media.crop import Picture, align_crop
from s2d_edge.media.faces.finder import FaceFinder
from s2d_edge.media.kinds import media_kind
from s2d_edge.media.pictures import frame_paths, read_image
from s2d_edge.media.video import probe_video, read_video
from s2d_edge.model.pixels import PIXEL_MEAN, PIXEL_STD
from s2d_edge.train.landmark.points import FROM_MESH, MIRROR

# Kept of a picture with a face: room to shift, zoom and tilt the crops for training.
_MESH_CUT = CropRecipe(alignment="none", margin=0.6, size=160)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FacePool:
    """Frames with known points.

    Attributes:
        pictures: (F, S, S, 3) uint8 RGB.
        points: (F, 68, 2) float32, x and y as fractions of the picture.
    """

    pictures: Tensor
    points: Tensor


def drawn_pool(avatars: Dataset, samples: Sequence[Sample], frames: int, seed: int) -> FacePool:
    """Read up to ``frames`` frames, spread at random over the clips.

    Raises:
        DataError: no samples, or no landmarks for one of them.
        MediaError: a frame that cannot be read.
    """
    if not samples:
        raise DataError(
            f"dataset {avatars.name!r} lacks the split the landmark network needs; make the avatars again"
        )
    known = read_landmarks(avatars.root)
    generator = np.random.default_rng(seed)
    each = max(1, frames // len(samples))
    pictures: list[NDArray[np.uint8]] = []
    points: list[NDArray[np.float32]] = []
    for k in generator.permutation(len(samples))[:frames]:
        clip = samples[k].path
        key = clip.relative_to(avatars.root).as_posix()
        files = frame_paths(clip)
        if key not in known or len(known[key]) != len(files):
            raise DataError(f"{avatars.root} lacks the points of {key}; make the avatars again")
        for frame in generator.choice(len(files), min(each, len(files)), replace=False):
            pictures.append(read_image(files[frame]))
            points.append(known[key][frame])
    return FacePool(pictures=torch.from_numpy(np.stack(pictures)), points=torch.from_numpy(np.stack(points)))


def mesh_pool(samples: Sequence[Sample], frames: int, seed: int, console: Console, *, title: str) -> FacePool:
    """Read up to ``frames`` pictures, spread at random over the clips, with FaceMesh's points as truth.

    Pictures in which FaceMesh finds no face are skipped and counted.

    Args:
        title: for the progress bar, e.g. ``training faces``.

    Raises:
        DataError: no face in any of them.
        MediaError: a file that cannot be read.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(samples))[:frames]
    each = max(1, frames // max(len(order), 1))
    pictures: list[NDArray[np.uint8]] = []
    points: list[NDArray[np.float32]] = []
    seen = 0
    with FaceFinder(static=True) as finder, console.progress(f"FaceMesh on {title}", len(order)) as advance:
        for k in order:
            for picture in _pictures_of(samples[k].path, each, generator):
                seen += 1
                for face in finder.find(picture)[:1]:
                    cut, where = _cut_out(picture, face.points[list(FROM_MESH)], face.points)
                    pictures.append(cut)
                    points.append(where)
            advance(1)
    if not pictures:
        raise DataError(f"FaceMesh finds no face in any of the {seen} {title}; give pictures of faces")
    if len(pictures) < seen:
        console.warn(f"{title}: FaceMesh finds no face in {seen - len(pictures)} of {seen} pictures")
    return FacePool(pictures=torch.from_numpy(np.stack(pictures)), points=torch.from_numpy(np.stack(points)))


def _pictures_of(path: Path, count: int, generator: np.random.Generator) -> Iterator[Picture]:
    """A picture itself, or ``count`` frames of a folder or a video."""
    if path.is_dir():
        files = frame_paths(path)
        for k in generator.choice(len(files), min(count, len(files)), replace=False):
            yield read_image(files[k])
    elif media_kind(path) == "picture":
        yield read_image(path)
    else:
        total = probe_video(path).frames or sum(1 for _ in read_video(path))  # some containers give no number
        chosen = set(generator.choice(total, min(count, total), replace=False).tolist())
        yield from (frame for k, (_, frame) in enumerate(read_video(path)) if k in chosen)


def _cut_out(
    picture: Picture, points: NDArray[np.float32], mesh: NDArray[np.float32]
) -> tuple[Picture, NDArray[np.float32]]:
    """Cut out the square around the whole mesh; returns it and ``points`` as fractions of it."""
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    side = float((high - low).max()) * (1 + _MESH_CUT.margin)
    corner = (low + high) / 2 - side / 2
    return align_crop(picture, mesh, _MESH_CUT), ((points - corner) / side).astype(np.float32)


def draw_crops(
    pool: FacePool, chosen: Tensor, generator: torch.Generator, *, vary: float
) -> tuple[Tensor, Tensor]:
    """Draw crops around the chosen faces, near the crop that the host would cut.

    Args:
        chosen: (B,) indices into the pool.
        vary: 1 draws place, size, tilt, mirror and colour at random; 0 varies nothing.

    Returns:
        (B, 3, 112, 112) ImageNet-normalised pictures, and (B, 68, 2) points as fractions of them.
    """
    b = len(chosen)
    points = 2 * pool.points[chosen] - 1  # (B, 68, 2), the picture spans [-1, 1]
    low, high = points.amin(dim=1), points.amax(dim=1)  # (B, 2)
    # FaceMesh also covers the forehead, which the 68 points leave out: about a third more height.
    low = torch.stack((low[:, 0], low[:, 1] - 0.3 * (high[:, 1] - low[:, 1])), dim=1)

    def uniform(reach: float) -> Tensor:
        return (2 * torch.rand(b, generator=generator) - 1) * reach * vary

    half = 0.6 * (high - low).amax(dim=1) * (1 + uniform(0.15))  # half the side, with a margin of 0.2
    centre = (low + high) / 2 + torch.stack((uniform(0.1) * half, uniform(0.1) * half), dim=1)
    angle = uniform(0.2)
    cos, sin = torch.cos(angle) * half, torch.sin(angle) * half
    turn = torch.stack((cos, -sin, sin, cos), dim=1).unflatten(1, (2, 2))  # (B, 4) -> (B, 2, 2)
    warp = torch.cat((turn, centre.unsqueeze(2)), dim=2)  # (B, 2, 3): crop to picture coordinates
    pictures = pool.pictures[chosen].permute(0, 3, 1, 2).float()  # (B, 3, S, S)
    grid = F.affine_grid(warp, [b, 3, LANDMARK_INPUT, LANDMARK_INPUT], align_corners=False)
    crops = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    inside = torch.linalg.solve(turn, (points - centre.unsqueeze(1)).transpose(1, 2)).transpose(1, 2)
    mirrored = torch.rand(b, generator=generator) < 0.5 * vary
    flipped = inside[:, list(MIRROR)] * torch.tensor([-1.0, 1.0])
    inside = torch.where(mirrored.view(b, 1, 1), flipped, inside)
    crops = torch.where(mirrored.view(b, 1, 1, 1), crops.flip(3), crops)
    shades = crops.permute(0, 2, 3, 1).unsqueeze(1)  # (B, 1, 112, 112, 3)
    factors = draw_colour(b, generator, brightness=0.3 * vary, contrast=0.3 * vary, saturation=0.3 * vary)
    crops = apply_colour(shades, factors).squeeze(1).permute(0, 3, 1, 2)  # (B, 3, 112, 112)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    return (crops - mean) / std, (inside + 1) / 2
