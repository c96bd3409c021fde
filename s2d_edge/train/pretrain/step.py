"""Forward, backward and optimizer step of a masked autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from s2d_edge.model.mae import MaskedAutoencoder, draw_visible
from s2d_edge.train.loop.job import LoopJob
from s2d_edge.train.loop.learner import ModuleLearner
from s2d_edge.train.loop.step import Step
from s2d_edge.train.plan.pretrain_settings import PretrainSettings
from s2d_edge.train.plan.settings import AugmentSettings

_NOT_DECAYED = ("cls_token", "mask_token")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PretrainJob(LoopJob):
    """A pre-training to do; its clips are seen frame by frame."""

    model: MaskedAutoencoder
    settings: PretrainSettings


class MaskedStep(Step):
    """Takes the steps of a pre-training: other patches of every picture are masked in every step."""

    def __init__(self, job: PretrainJob) -> None:
        super().__init__(job)
        self._job = job
        settings = job.settings
        # MAE's own augmentation: a resized crop and a mirror, no change of colours (appendix A.1).
        self._augment = AugmentSettings(
            flip=settings.flip,
            crop=settings.crop,
            rotate_deg=0,
            scale=0,
            shift=0,
            brightness=0,
            contrast=0,
            saturation=0,
            erase=0,
        )
        self.learner = ModuleLearner(
            _WithLosses(job.model),
            _optimizer(job.model, settings),
            job.context.processes,
            clip_norm=settings.clip_norm,
            amp=job.amp,
        )

    def _losses_of(
        self, chosen: NDArray[np.int64], seed: int, piece: NDArray[np.int64], epoch: int, *, kept: bool
    ) -> Tensor:
        job, device = self._job, self._job.context.device
        generator = torch.Generator().manual_seed(seed)
        batch = job.train.training_batch(chosen, self._augment, generator, piece)
        visible = draw_visible(
            len(chosen), job.model.config.vit.grid**2, job.settings.masked.ratio, generator
        )[piece]
        losses: Tensor = self.learner.call(batch.clip[:, 0].to(device), visible.to(device))
        return losses

    def _finish(self, chosen: NDArray[np.int64]) -> None:
        """Nothing is left to use."""


class _WithLosses(nn.Module):
    """The losses of pictures from one forward pass, as DDP needs it."""

    def __init__(self, model: MaskedAutoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor, visible: Tensor) -> Tensor:
        return self.model.losses(self.model(pictures, visible), pictures, visible)


def _optimizer(model: MaskedAutoencoder, settings: PretrainSettings) -> torch.optim.AdamW:
    """AdamW as MAE has it (table 8), with weight decay on matrices only."""
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    matrices = [w for name, w in trained if w.ndim > 1 and not name.endswith(_NOT_DECAYED)]
    others = [w for name, w in trained if w.ndim <= 1 or name.endswith(_NOT_DECAYED)]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": settings.weight_decay, "lr_share": 1.0},
            {"params": others, "weight_decay": 0.0, "lr_share": 1.0},
        ],
        lr=settings.lr,
        betas=(0.9, settings.beta2),
        fused=True,
    )
