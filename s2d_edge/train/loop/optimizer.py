"""AdamW in parameter groups, and the schedule of its learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from s2d_edge.model.s2d import S2D
from s2d_edge.train.plan.settings import StageSettings

_NOT_DECAYED = ("pos_embed", "cls_token", "temporal_embedding", "age_bias")


def make_optimizer(model: S2D, settings: StageSettings) -> torch.optim.AdamW:
    """Make AdamW over the trainable parameters, with weight decay on matrices only, as ViTs are trained.

    Each group has an ``lr_share``: the fraction of the schedule's learning rate that it gets, which is
    ``layer_decay`` to the power of the blocks after its own (layer-wise decay, as in BEiT, arXiv 2106.08254),
    and ``landmark_lr`` for the landmark network.
    """
    depth = model.config.vit.depth
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.ndim > 1 and not name.endswith(_NOT_DECAYED)
            share = (
                settings.landmark_lr
                if name.startswith("landmark.")
                else settings.layer_decay ** (depth + 1 - _layer(name, depth))
            )
            groups.setdefault((share, settings.weight_decay if is_matrix else 0.0), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "lr_share": share}
            for (share, decay), parameters in groups.items()
        ],
        lr=settings.lr,
        fused=True,
    )


def _layer(name: str, depth: int) -> int:
    """0 for what comes before the blocks, 1 to ``depth`` for each block's parts, ``depth + 1`` for the head.

    Prompters and adapters are new beside pretrained blocks, so they learn at the full rate.
    """
    if name.startswith("vit.blocks."):
        return 1 + int(name.split(".")[2])
    if name.startswith("vit.") and not name.startswith("vit.norm."):
        return 0
    return depth + 1


def learning_rate(step: int, *, total: int, warmup: int, peak: float, final: float) -> float:
    """Learning rate of one step: linear warm-up, then cosine decay.

    Args:
        step: 0 for the first.
        total: steps of the whole training.
        warmup: steps over which the rate rises to ``peak``.
        peak: highest rate.
        final: rate at the end.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    done = min((step - warmup) / max(total - warmup, 1), 1.0)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * done))
