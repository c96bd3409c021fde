"""Training of a landmark network on the 68 points of faces, and its point error."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F

from s2d_edge.contracts.model_config import LandmarkConfig
from s2d_edge.core.caches import cache_folder
from s2d_edge.core.errors import CheckpointError, ConfigError, TrainingError
from s2d_edge.core.files import sha256_of
from s2d_edge.data.avatars.dataset import LANDMARKS_FILE
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.model.checkpoint import load_strictly, read_tensors, save_weights
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.train.context import Context
from s2d_edge.train.landmark.faces import FacePool, draw_crops, drawn_pool
from s2d_edge.train.landmark.points import EYE_CORNERS, INNER, POINTS
from s2d_edge.train.loop.divergence import require_finite_weights
from s2d_edge.train.loop.optimizer import learning_rate
from s2d_edge.train.plan.settings import LandmarkSettings

# Part of the cache key of trained networks: raise it when their training changes.
_TEACHING_VERSION = 2


def taught_network(
    config: LandmarkConfig,
    avatars: Dataset,
    settings: LandmarkSettings,
    seed: int,
    context: Context,
) -> MobileFaceNet:
    """Train a landmark network on ``avatars``, or load it from the cache if it was trained before.

    Raises:
        DataError: the avatars' landmarks are missing.
        KeyboardInterrupt: requested to stop.
    """
    head = {
        "version": _TEACHING_VERSION,
        "seed": seed,
        "config": asdict(config),
        "settings": asdict(settings),
        "avatars": sha256_of(avatars.root / LANDMARKS_FILE),
    }
    key = hashlib.sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()[:32]
    console = context.console
    path = cache_folder() / "landmark" / f"{key}.safetensors"
    network = MobileFaceNet(config)
    if path.is_file():
        try:
            load_strictly(network, read_tensors(path), str(path))
        except CheckpointError as error:
            console.warn(f"{error}; it is trained again")
        else:
            console.say(f"landmark network: trained before on these avatars, loaded from {path}")
            return network.eval()
    pool = drawn_pool(avatars, avatars.split("train"), settings.pool_frames, seed)
    network = teach(config, pool, settings, seed, context)
    held_out = drawn_pool(avatars, avatars.split("val"), 256, seed)
    console.say(f"landmark network: {point_error(network, held_out)} on unseen avatars")
    save_weights(network, path)
    return network


def teach(
    config: LandmarkConfig,
    pool: FacePool,
    settings: LandmarkSettings,
    seed: int,
    context: Context,
) -> MobileFaceNet:
    """Train a landmark network on the points of the faces in ``pool``.

    Returns:
        The network, in evaluation mode.

    Raises:
        ConfigError: the network does not have 68 points.
        TrainingError: the loss or the weights are not finite.
    """
    if config.points != POINTS:
        raise ConfigError(
            f"faces have {POINTS} points here, landmark.points={config.points}; set it to {POINTS}"
        )
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = MobileFaceNet(config)
    _start_at_mean_shape(network, pool)
    for weight in network.parameters():  # channels last: twice as fast on a CPU
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=1e-4)
    network.train()
    with context.console.progress("training the landmark network", settings.steps) as advance:
        for step in range(settings.steps):
            rate = learning_rate(
                step, total=settings.steps, warmup=settings.steps // 20, peak=settings.lr, final=0.0
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            chosen = torch.randint(len(pool.pictures), (settings.batch_frames,), generator=generator)
            pictures, points = draw_crops(pool, chosen, generator, vary=1.0)
            pictures = pictures.to(memory_format=torch.channels_last)
            loss = F.smooth_l1_loss(network(pictures), points, beta=0.01)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss of the landmark network became {loss.item()} in step {step + 1}; lower "
                    f"landmark.lr (now {settings.lr:g})"
                )
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            advance(1)
    require_finite_weights(network, "the training of the landmark network")
    return network.eval()


@dataclass(frozen=True, slots=True, kw_only=True)
class PointError:
    """Mean distance of a network's points from where they are, over the distance of the eyes' outer corners.

    Attributes:
        whole: of all 68 points.
        inner: of the 51 that are not the jaw.
    """

    whole: float
    inner: float

    def __str__(self) -> str:
        return (
            f"mean point error {100 * self.whole:.1f} % of the distance between the eyes' outer corners "
            f"({100 * self.inner:.1f} % without the jaw)"
        )


def point_error(network: MobileFaceNet, pool: FacePool) -> PointError:
    """Measure ``network`` on the faces of ``pool``, cropped as a device crops them."""
    generator = torch.Generator()
    errors = []
    for chosen in torch.arange(len(pool.pictures)).split(64):
        pictures, points = draw_crops(pool, chosen, generator, vary=0.0)
        with torch.inference_mode():
            off = (network(pictures) - points).norm(dim=2)  # (B, 68)
        left, right = (points[:, corner] for corner in EYE_CORNERS)
        errors.append(off / (left - right).norm(dim=1, keepdim=True))
    each = torch.cat(errors).mean(dim=0)
    return PointError(whole=float(each.mean()), inner=float(each[INNER].mean()))


def _start_at_mean_shape(network: MobileFaceNet, pool: FacePool) -> None:
    """Start at the mean face, so that only deviations from it must be learnt."""
    some = torch.arange(min(len(pool.pictures), 256))
    _, points = draw_crops(pool, some, torch.Generator(), vary=0.0)
    last = network.output_layer.bn
    with torch.no_grad():
        last.bias.copy_(points.mean(dim=0).flatten())
        last.weight.fill_(0.05)
