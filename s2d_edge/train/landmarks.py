"""Teaching a landmark network on avatars, whose 68 points are known, where no trained one is at hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from s2d_edge.console import Console
from s2d_edge.data.avatars import read_landmarks
from s2d_edge.data.avatars.dataset import LANDMARKS_FILE
from s2d_edge.data.samples import Dataset, Sample
from s2d_edge.data.transforms import jitter_colour
from s2d_edge.errors import CheckpointError, ConfigError, DataError
from s2d_edge.files import cache_folder, sha256_of, whole_file
from s2d_edge.model.checkpoint import load_strictly, read_tensors
from s2d_edge.model.config import LANDMARK_INPUT, LandmarkConfig
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.model.s2d import PIXEL_MEAN, PIXEL_STD
from s2d_edge.train.interrupt import InterruptGuard
from s2d_edge.train.schedule import learning_rate
from s2d_edge.train.settings import LandmarkSettings
from s2d_edge.video import frame_paths, read_image

POINTS = 68
EYE_CORNERS = (36, 45)  # outer corners in iBUG order; their distance is what errors are measured in
# Part of the key under which taught networks are kept: raise it when teaching changes.
_TEACHING_VERSION = 1

# Where each of the 68 iBUG points goes when the picture is mirrored.
_MIRROR = (
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31),  # nose bridge
    *range(35, 30, -1),  # nostrils
    *(45, 44, 43, 42, 47, 46),  # left eye <- right
    *(39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),  # outer lip, upper
    *range(59, 54, -1),  # outer lip, lower
    *range(64, 59, -1),  # inner lip, upper
    *(67, 66, 65),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FacePool:
    """Frames with known points.

    Attributes:
        pictures: (F, S, S, 3) uint8 RGB.
        points: (F, 68, 2) float32, x and y as fractions of the picture.
    """

    pictures: Tensor
    points: Tensor


def taught_network(
    config: LandmarkConfig,
    avatars: Dataset,
    settings: LandmarkSettings,
    seed: int,
    console: Console,
    guard: InterruptGuard,
) -> MobileFaceNet:
    """A landmark network taught on ``avatars``, from the cache if the same one was taught before.

    Raises:
        DataError: the avatars' landmarks are missing.
        KeyboardInterrupt: asked to stop.
    """
    head = {
        "version": _TEACHING_VERSION,
        "seed": seed,
        "config": asdict(config),
        "settings": asdict(settings),
        "avatars": sha256_of(avatars.root / LANDMARKS_FILE),
    }
    key = hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()[:32]
    path = cache_folder() / "landmark" / f"{key}.safetensors"
    network = MobileFaceNet(config)
    if path.is_file():
        try:
            load_strictly(network, read_tensors(path), str(path))
        except CheckpointError as error:
            console.warn(f"{error}; it is taught again")
        else:
            console.say(f"landmark network: taught before on these avatars, taken from {path}")
            return network.eval()
    network = teach(config, avatars, settings, seed, console, guard)
    with whole_file(path) as scratch:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, scratch)
    return network


def teach(
    config: LandmarkConfig,
    avatars: Dataset,
    settings: LandmarkSettings,
    seed: int,
    console: Console,
    guard: InterruptGuard,
) -> MobileFaceNet:
    """Teach a landmark network on the training avatars and tell its error on the validation ones.

    Returns:
        The network, in evaluation mode.

    Raises:
        ConfigError: the network does not have 68 points.
        DataError: the avatars' landmarks are missing.
        KeyboardInterrupt: asked to stop.
    """
    if config.points != POINTS:
        raise ConfigError(
            f"the avatars have {POINTS} points, landmark.points={config.points}; set it to {POINTS}"
        )
    pool = read_pool(avatars, avatars.split("train"), settings.pool_frames, seed)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = MobileFaceNet(config)
    _start_at_mean_shape(network, pool)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=1e-4)
    network.train()
    with console.progress("teaching the landmark network", settings.steps) as advance:
        for step in range(settings.steps):
            rate = learning_rate(
                step, total=settings.steps, warmup=settings.steps // 20, peak=settings.lr, final=0.0
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            chosen = torch.randint(len(pool.pictures), (settings.batch_frames,), generator=generator)
            pictures, points = draw_crops(pool, chosen, generator, vary=1.0)
            loss = F.smooth_l1_loss(network(pictures), points, beta=0.01)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            if guard.requested:
                raise KeyboardInterrupt
            advance(1)
    network.eval()
    held_out = read_pool(avatars, avatars.split("val"), 256, seed)
    console.say(
        f"landmark network: mean point error {100 * point_error(network, held_out):.1f} % of the "
        "distance between the eyes' outer corners, on avatars it has not seen"
    )
    return network


def read_pool(avatars: Dataset, samples: Sequence[Sample], frames: int, seed: int) -> FacePool:
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


def draw_crops(
    pool: FacePool, chosen: Tensor, generator: torch.Generator, *, vary: float
) -> tuple[Tensor, Tensor]:
    """Crops around the chosen faces, as the host would cut them but less exactly.

    Args:
        chosen: (B,) indices into the pool.
        vary: 1 draws place, size, tilt, mirror and colour at random; 0 leaves them as they are.

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
    flipped = inside[:, list(_MIRROR)] * torch.tensor([-1.0, 1.0])
    inside = torch.where(mirrored.view(b, 1, 1), flipped, inside)
    crops = torch.where(mirrored.view(b, 1, 1, 1), crops.flip(3), crops)
    shades = crops.permute(0, 2, 3, 1).unsqueeze(1)  # (B, 1, 112, 112, 3)
    shades = jitter_colour(
        shades, generator, brightness=0.3 * vary, contrast=0.3 * vary, saturation=0.3 * vary
    )
    crops = shades.squeeze(1).permute(0, 3, 1, 2)  # (B, 3, 112, 112)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    return (crops - mean) / std, (inside + 1) / 2


def point_error(network: MobileFaceNet, pool: FacePool) -> float:
    """Mean distance of the points from where they are, over the distance of the eyes' outer corners."""
    generator = torch.Generator()
    errors = []
    for chosen in torch.arange(len(pool.pictures)).split(64):
        pictures, points = draw_crops(pool, chosen, generator, vary=0.0)
        with torch.inference_mode():
            off = (network(pictures) - points).norm(dim=2).mean(dim=1)
        left, right = (points[:, corner] for corner in EYE_CORNERS)
        errors.append(off / (left - right).norm(dim=1))
    return float(torch.cat(errors).mean())


def _start_at_mean_shape(network: MobileFaceNet, pool: FacePool) -> None:
    """Begin with the mean face, so that only the deviations from it are to be learnt."""
    some = torch.arange(min(len(pool.pictures), 256))
    _, points = draw_crops(pool, some, torch.Generator(), vary=0.0)
    last = network.output_layer.bn
    with torch.no_grad():
        last.bias.copy_(points.mean(dim=0).flatten())
        last.weight.fill_(0.05)
