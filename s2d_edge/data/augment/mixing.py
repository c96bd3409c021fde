"""Mix clips of a batch with one another by mixup and CutMix, equally in all frames of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """The mixing of clips with partners (mixup, arXiv 1710.09412; CutMix, arXiv 1905.04899).

    Attributes:
        own: (B,) int64, the row of each mixed clip among the given pictures.
        partner: (B,) int64, the row of the other clip.
        share: (B,) float in [0, 1], the part of its own picture that is left.
        box: (B, 4) left, top, right, bottom of the partner's part, as fractions; None where the whole
            pictures are blended.
    """

    own: Tensor
    partner: Tensor
    share: Tensor
    box: Tensor | None

    def of(self, clips: Tensor) -> tuple[Tensor, Mixture]:
        """Select the mixture of some of the clips.

        Args:
            clips: (b,) int64, indices of the clips.

        Returns:
            (P,) rows of the pictures it needs, and the mixture in terms of these.
        """
        rows = torch.cat((self.own[clips], self.partner[clips]))
        needed, where = torch.unique(rows, return_inverse=True)
        own, partner = where.split(len(clips))
        box = None if self.box is None else self.box[clips]
        return needed, Mixture(own=own, partner=partner, share=self.share[clips], box=box)

    def pictures(self, x: Tensor) -> Tensor:
        """Mix (P, C, H, W) pictures or maps into (B, C, H, W)."""
        mine, other = x[self.own], x[self.partner]
        if self.box is None:
            return torch.lerp(other, mine, self.share.to(x).view(-1, 1, 1, 1))
        height, width = x.shape[2:]
        left, top, right, bottom = (side[:, None] for side in self.box.unbind(dim=1))  # (B, 1) each
        rows, columns = (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width
        in_rows, in_columns = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
        inside = in_rows.unsqueeze(2) & in_columns.unsqueeze(1)  # (B, H, W)
        return torch.where(inside.unsqueeze(1).to(x.device), other, mine)


def draw_mixture(clips: int, generator: torch.Generator, *, mixup: float, cutmix: float) -> Mixture | None:
    """Draw partners and shares; with both kinds on, half the batches have one and half the other.

    Args:
        mixup: α of the Beta distribution of mixup's shares; 0 leaves it out.
        cutmix: α of the Beta distribution of CutMix's shares; 0 leaves it out.

    Returns:
        None where both are left out.
    """
    if not (mixup or cutmix):
        return None
    seed = int(torch.randint(2**31, (1,), generator=generator))
    draws = np.random.default_rng(seed)  # PyTorch's Beta takes no generator
    boxes = bool(cutmix) and (not mixup or draws.random() < 0.5)
    alpha = cutmix if boxes else mixup
    share = torch.from_numpy(draws.beta(alpha, alpha, size=clips)).float()
    own, partner = torch.arange(clips), torch.from_numpy(draws.permutation(clips))
    if not boxes:
        return Mixture(own=own, partner=partner, share=share, box=None)
    half = torch.sqrt(1 - share) / 2
    centre = torch.from_numpy(draws.random((clips, 2))).float()
    box = torch.cat((centre - half[:, None], centre + half[:, None]), dim=1).clamp(0, 1)  # (B, 4)
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    return Mixture(own=own, partner=partner, share=1 - area, box=box)
