"""Every number of a pre-training."""

from __future__ import annotations

from dataclasses import dataclass, field

from s2d_edge.contracts.model_config import MaskedConfig
from s2d_edge.train.plan.ranges import (
    LARGEST,
    MOST_AT_ONCE,
    MOST_COUNTED,
    MOST_LISTED,
    above,
    below,
    within,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainSettings:
    """Pre-training without labels. The defaults are those of MAE (He et al. 2022, arXiv 2111.06377, table 8).

    Attributes:
        epochs: passes over the training clips, of each of which one frame is taken.
        epoch_clips: clips drawn per epoch; 0 takes as many as there are.
        batch_clips: clips per step, of all processes together.
        accumulate: parts of its share of a batch that a process works through one after the other, for less
            memory; the step is the same.
        lr: peak learning rate of AdamW: 1.5e-4 for every 256 clips of a batch.
        weight_decay: of AdamW, on matrices only.
        beta2: of AdamW.
        warmup_epochs: linear warm-up before the cosine decay to ``final_lr_fraction`` × ``lr``.
        ema: decay per step of the moving average of the weights, which is then what is validated and kept; 0
            keeps the weights themselves.
        clip_norm: largest norm of the gradient; 0 leaves it as it is.
        crop: smallest area of a random resized crop, as a fraction of the picture.
        flip: probability of mirroring left and right.
        masked: sizes of the masked autoencoder.
    """

    epochs: int = 800
    epoch_clips: int = 0
    batch_clips: int = 256
    accumulate: int = 1
    lr: float = 1.5e-4
    weight_decay: float = 0.05
    beta2: float = 0.95
    warmup_epochs: float = 40.0
    final_lr_fraction: float = 0.0
    ema: float = 0.0
    clip_norm: float = 0.0
    crop: float = 0.2
    flip: float = 0.5
    masked: MaskedConfig = field(default_factory=MaskedConfig)

    def __post_init__(self) -> None:
        within(1, MOST_COUNTED, "pretrain.", epochs=self.epochs, batch_clips=self.batch_clips)
        within(1, MOST_AT_ONCE, "pretrain.", accumulate=self.accumulate)
        within(0, MOST_LISTED, "pretrain.", epoch_clips=self.epoch_clips)
        within(0, MOST_COUNTED, "pretrain.", clip_norm=self.clip_norm)
        within(0, LARGEST, "pretrain.", weight_decay=self.weight_decay, warmup_epochs=self.warmup_epochs)
        above(0, LARGEST, "pretrain.", lr=self.lr)
        within(0, 1, "pretrain.", final_lr_fraction=self.final_lr_fraction, flip=self.flip)
        below(0, 1, "pretrain.", beta2=self.beta2, ema=self.ema)
        above(0, 1, "pretrain.", crop=self.crop)
