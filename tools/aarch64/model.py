"""Write a run folder of any size with random weights, whose predictions still differ from clip to clip.

A random network gives every clip nearly the same logits, and rounding could change the label. So the head is
fitted to the given clips in closed form: ridge regression on the untrained network's features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.contracts.model_config import S2DConfig, preset
from s2d_edge.contracts.runs import RunInfo
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.model.checkpoint import save_run
from s2d_edge.model.s2d import S2D

_NOISE = 0.02  # on every weight: adapters start as zeros, and zeros agree everywhere
_RIDGE = 0.1  # of the features' mean squared length
_LOGIT = 5.0  # the head's target for the true class


def sampling(config: S2DConfig) -> ClipSpec:
    """The clips of such a model: two seconds, as the avatars move."""
    return ClipSpec(frames=config.frames, fps=config.frames / 2, size=config.vit.image_size)


def write_run(run: Path, size: str, samples: Sequence[Sample], labels: Sequence[str]) -> None:
    """Write a video run of a preset's size, its head fitted to ``samples``, taken without face crops."""
    config = replace(preset(size), classes=len(labels))
    spec = sampling(config)
    torch.manual_seed(0)
    model = S2D(config).eval()
    with torch.inference_mode():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * _NOISE)
        clips = load_many([sample.path for sample in samples], spec, None)
        features = torch.cat([model.features(torch.from_numpy(clip.windows[:1])) for clip in clips])  # (n, D)
        truth = torch.tensor([sample.label for sample in samples])
        weight, bias = fit_head(features, truth, len(labels))
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)
    info = RunInfo(
        name=run.name,
        stage="video",
        labels=tuple(labels),
        fps=spec.fps,
        crop=CropRecipe(size=spec.size),
        model=config,
    )
    run.parent.mkdir(parents=True, exist_ok=True)
    save_run(run, info, model)


def fit_head(features: torch.Tensor, truth: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ridge regression in its dual form, for fewer clips than features.

    Args:
        features: (n, D).
        truth: (n,) int64, the classes.

    Returns:
        Weight (K, D) and bias (K,).
    """
    mean = features.mean(dim=0)
    centred = (features - mean).double()  # (n, D)
    products = centred @ centred.T  # (n, n)
    ridge = _RIDGE * products.diagonal().mean() * torch.eye(len(products), dtype=products.dtype)
    targets = torch.nn.functional.one_hot(truth, classes).double()  # (n, K)
    targets = _LOGIT * (targets - targets.mean(dim=0))
    weight = (centred.T @ torch.linalg.solve(products + ridge, targets)).T.to(features.dtype)  # (K, D)
    return weight, -(weight @ mean)
