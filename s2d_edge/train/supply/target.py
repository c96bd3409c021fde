"""What the loss wants of each clip: a probability for each class, and the classes that count at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """Targets of n clips of K classes.

    Attributes:
        shares: (n, K) float32, the wanted probability of each class; rows sum to 1, and are 0 outside of
            ``known``.
        known: (n, K) bool, the labels that the clip's set knows. The others are masked: a set says nothing
            about a label that it lacks.
    """

    shares: Tensor
    known: Tensor

    def of(self, clips: NDArray[np.int64] | Tensor) -> Target:
        """The targets of some of the clips, in that order."""
        rows = torch.as_tensor(clips)
        return Target(shares=self.shares[rows], known=self.known[rows])

    def to(self, device: torch.device) -> Target:
        """Copy the targets to ``device``."""
        return Target(
            shares=self.shares.to(device, non_blocking=True), known=self.known.to(device, non_blocking=True)
        )


def hard_target(labels: NDArray[np.int64], known: NDArray[np.bool_]) -> Target:
    """Targets that put all on one class.

    Args:
        labels: (n,) class indices.
        known: (n, K), or (K,) for all clips.
    """
    shares = F.one_hot(torch.from_numpy(labels), known.shape[-1]).float()  # (n, K)
    return Target(shares=shares, known=torch.from_numpy(known).expand(shares.shape))


def cross_entropy(logits: Tensor, target: Target, smoothing: float) -> Tensor:
    """Cross-entropy of the softmax over the labels that each clip's set knows.

    Args:
        logits: (B, K).
        smoothing: share of the target that is spread evenly over the known labels.

    Returns:
        (B,).
    """
    even = target.known / target.known.sum(dim=1, keepdim=True)  # (B, K)
    wanted = torch.lerp(target.shares, even, smoothing)
    return -(wanted * masked_log_softmax(logits, target.known)).sum(dim=1)


def masked_log_softmax(logits: Tensor, known: Tensor) -> Tensor:
    """Logarithm of the softmax over the known labels, (B, K) float32; 0 for the others."""
    among = F.log_softmax(logits.float().masked_fill(~known, -torch.inf), dim=1)
    return among.masked_fill(~known, 0.0)
