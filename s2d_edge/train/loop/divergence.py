"""Divergence of a training: what is not finite is found before it is kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from s2d_edge.core.errors import TrainingError

_NAMES_SHOWN = 4


class DivergenceError(TrainingError):
    """A loss, logits or weights are no longer finite."""


def require_finite_weights(model: nn.Module, when: str) -> None:
    """Check every weight and buffer of ``model``.

    Args:
        when: the place in the training, e.g. ``epoch 2``.

    Raises:
        DivergenceError: some are infinite or NaN; the message names them.
    """
    values = {name: value for name, value in model.state_dict().items() if value.is_floating_point()}
    finite = torch.stack([torch.isfinite(value).all() for value in values.values()]).tolist()
    if wrong := [name for name, right in zip(values, finite, strict=True) if not right]:
        raise DivergenceError(f"the weights became infinite or NaN in {when} ({listed(wrong)})")


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{', '.join(names[:_NAMES_SHOWN])}{more}"
