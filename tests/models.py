"""Small models with every tensor at random, so that no term of an equation can hide behind a zero."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.model_config import LandmarkConfig, S2DConfig, TemporalConfig, ViTConfig
from s2d_edge.contracts.runs import RunInfo
from s2d_edge.model.checkpoint import save_run
from s2d_edge.model.s2d import S2D

TINY = S2DConfig(
    # Two blocks are the fewest in which the first and the last, which export fuses differently, differ.
    vit=ViTConfig(image_size=64, patch_size=16, width=48, depth=2, heads=4),
    landmark=LandmarkConfig(width=4, depths=(1, 1, 1)),
    temporal=TemporalConfig(ratio=1 / 3, heads=2),
    frames=4,
    prompt_width=4,
    classes=3,
)
CAUSAL = replace(TINY, temporal=TemporalConfig(ratio=1 / 3, heads=2, mode="causal"))


def random_model(config: S2DConfig, seed: int = 0) -> S2D:
    """A model in evaluation mode whose every parameter and statistic is random and non-zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = S2D(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator) * 0.1)
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    return model.eval()


def random_clip(config: S2DConfig, seed: int = 0) -> torch.Tensor:
    """(1, T, H, W, 3) uint8 RGB."""
    size = config.vit.image_size
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, config.frames, size, size, 3), generator=generator, dtype=torch.uint8)


def write_random_run(path: Path, config: S2DConfig = TINY, *, fps: float = 4.0, seed: int = 0) -> S2D:
    """A run folder of a random model; returns the model."""
    model = random_model(config, seed)
    info = RunInfo(
        name=path.name,
        stage="image" if config.temporal is None else "video",
        labels=tuple("abcdefghijk"[: config.classes]),
        fps=fps,
        crop=CropRecipe(size=config.vit.image_size),
        model=config,
    )
    save_run(path, info, model)
    return model


def with_vit(config: S2DConfig, **changes: int) -> S2DConfig:
    """``config`` with another ViT size."""
    return replace(config, vit=replace(config.vit, **changes))
