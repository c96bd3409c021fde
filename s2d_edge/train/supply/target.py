"""The targets of a loss: for each clip a probability of each class, and the classes that count at all."""

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
        voted: (n,) bool, the clips whose shares are people's votes.
    """

    shares: Tensor
    known: Tensor
    voted: Tensor

    def of(self, clips: NDArray[np.int64] | Tensor) -> Target:
        """The targets of some of the clips, in that order."""
        rows = torch.as_tensor(clips)
        return Target(shares=self.shares[rows], known=self.known[rows], voted=self.voted[rows])

    def to(self, device: torch.device) -> Target:
        """Copy the targets to ``device``."""
        shares, known, voted = (
            x.to(device, non_blocking=True) for x in (self.shares, self.known, self.voted)
        )
        return Target(shares=shares, known=known, voted=voted)

    def with_votes(self, votes: NDArray[np.float32]) -> Target:
        """The targets with people's votes in the place of the labels.

        Args:
            votes: (n, K), the share of the votes that each class got; rows of zeros for clips without votes,
                which keep their label.
        """
        given = torch.from_numpy(votes)
        voted = given.any(dim=1)
        return Target(
            shares=torch.where(voted.unsqueeze(1), given, self.shares), known=self.known, voted=voted
        )


def hard_target(labels: NDArray[np.int64], known: NDArray[np.bool_]) -> Target:
    """Targets that put all on one class.

    Args:
        labels: (n,) class indices.
        known: (n, K), or (K,) for all clips.
    """
    shares = F.one_hot(torch.from_numpy(labels), known.shape[-1]).float()  # (n, K)
    voted = torch.zeros(len(labels), dtype=torch.bool)
    return Target(shares=shares, known=torch.from_numpy(known).expand(shares.shape), voted=voted)


def cross_entropy(logits: Tensor, target: Target, smoothing: float) -> Tensor:
    """Cross-entropy of the softmax over the labels that each clip's set knows.

    Args:
        logits: (B, K).
        smoothing: share of a label that is spread evenly over the known ones (arXiv 1512.00567). Votes are
            taken as they are: they tell how far people disagree, for which smoothing only stands in.

    Returns:
        (B,).
    """
    even = target.known / target.known.sum(dim=1, keepdim=True)  # (B, K)
    smoothed = torch.lerp(target.shares, even, smoothing)
    wanted = torch.where(target.voted.unsqueeze(1), target.shares, smoothed)
    return -(wanted * masked_log_softmax(logits, target.known)).sum(dim=1)


def masked_log_softmax(logits: Tensor, known: Tensor) -> Tensor:
    """Logarithm of the softmax over the known labels, (B, K) float32; 0 for the others."""
    among = F.log_softmax(logits.float().masked_fill(~known, -torch.inf), dim=1)
    return among.masked_fill(~known, 0.0)
