"""Every number of a training, in frozen dataclasses that check themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from s2d_edge.core.errors import ConfigError
from s2d_edge.train.plan.pretrain_settings import PretrainSettings
from s2d_edge.train.plan.ranges import (
    LARGEST,
    MOST_AT_ONCE,
    MOST_COUNTED,
    MOST_LISTED,
    above,
    below,
    within,
)

Selection = Literal["war", "uar"]
TargetKind = Literal["labels", "votes"]


MOST_SEED = 2**63 - 1  # TOML's largest whole number, and PyTorch takes it


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentSettings:
    """Random changes to a clip, drawn once per clip and applied equally to all its frames.

    Attributes:
        flip: probability of mirroring left and right.
        rotate_deg: largest rotation, degrees either way.
        scale: largest zoom in or out, as a fraction.
        shift: largest shift along each axis, as a fraction of the picture's side.
        brightness: largest change of brightness, as a fraction.
        contrast: largest change of contrast, as a fraction.
        saturation: largest change of saturation, as a fraction.
        erase: probability of greying out one random rectangle of 2 to 20 % of the picture; the official code
            fills 2 to 33 % with noise instead, as often.
        crop: smallest area of a random resized crop, as a fraction of the picture; 1 takes the whole picture.
        randaugment_ops: RandAugment's operations per clip, drawn from fifteen, each then applied with
            probability 1/2; 0 leaves it out. Areas from outside the picture are grey.
        randaugment_magnitude: their mean severity, 0 to 10, with a standard deviation of 0.5. Landmark maps
            that are computed once (``cache_landmarks``) follow the operations that move a picture, not those
            that change its colours.
        mixup: α of mixup's Beta distribution; 0 leaves it out.
        cutmix: α of CutMix's; with both, half the batches have one and half the other.
    """

    flip: float = 0.5
    rotate_deg: float = 8.0
    scale: float = 0.1
    shift: float = 0.05
    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.25
    erase: float = 0.25
    crop: float = 1.0
    randaugment_ops: int = 0
    randaugment_magnitude: float = 7.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        owner = "augment."
        within(0, 1, owner, flip=self.flip, erase=self.erase, brightness=self.brightness)
        within(0, 1, owner, contrast=self.contrast, saturation=self.saturation)
        within(0, LARGEST, owner, mixup=self.mixup, cutmix=self.cutmix)
        within(0, 100, owner, randaugment_ops=self.randaugment_ops)
        within(0, 10, owner, randaugment_magnitude=self.randaugment_magnitude)
        above(0, 1, owner, crop=self.crop)
        within(0, 180, owner, rotate_deg=self.rotate_deg)
        below(0, 1, owner, scale=self.scale)
        within(0, 0.5, owner, shift=self.shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class SdlSettings:
    """Emotion-anchor self-distillation.

    Attributes:
        weight: of its loss at the end of the schedule; 0 leaves it out.
        starts: when its weight rises, as fractions of the training.
        shares: the fraction of ``weight`` it has from each of ``starts`` on; 0 before the first.
        queue: anchors kept per class.
        top_k: K, nearest anchors of every class that are used.
    """

    weight: float = 0.0
    starts: tuple[float, ...] = (0.3, 0.5, 0.6, 0.8)
    shares: tuple[float, ...] = (0.01, 0.1, 0.5, 1.0)
    queue: int = 16
    top_k: int = 2

    def __post_init__(self) -> None:
        within(0, LARGEST, "sdl.", weight=self.weight)
        within(1, MOST_AT_ONCE, "sdl.", queue=self.queue)
        for start, share in zip(self.starts, self.shares, strict=False):
            within(0, 1, "sdl.", starts=start, shares=share)
        if not 1 <= self.top_k <= self.queue:
            raise ConfigError(f"sdl.top_k={self.top_k} must lie in [1, sdl.queue={self.queue}]")
        if len(self.starts) != len(self.shares) or list(self.starts) != sorted(self.starts):
            raise ConfigError(
                f"sdl.starts={list(self.starts)} must rise, and have as many values as "
                f"sdl.shares={list(self.shares)}"
            )

    def weight_at(self, epoch: int, epochs: int) -> float:
        """Weight of the loss in epoch ``epoch``, counted from 0, of ``epochs``."""
        begun = [
            share for start, share in zip(self.starts, self.shares, strict=True) if epoch >= start * epochs
        ]
        return self.weight * begun[-1] if begun else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """One stage of training.

    Attributes:
        epochs: passes over the training clips.
        epoch_clips: clips drawn per epoch; 0 takes as many as there are.
        batch_clips: clips per step, of all processes together (the image stage takes one frame of each).
        accumulate: parts of its share of a batch that a process works through one after the other, for less
            memory; the step is the same.
        lr: peak learning rate of AdamW.
        weight_decay: of AdamW, on matrices only.
        warmup_epochs: linear warm-up before the cosine decay to ``final_lr_fraction`` × ``lr``.
        layer_decay: each block of the ViT learns at this fraction of the rate of the block after it; 1 gives
            all the full rate.
        landmark_lr: the landmark network's features learn at this fraction of the rate; 0 freezes them, as
            published. Only the image stage may: the video stage freezes what it starts from.
        ema: decay per step of the moving average of the weights, which is then what is validated and kept; 0
            keeps the weights themselves.
        clip_norm: largest norm of the gradient; 0 leaves it as it is.
        targets: ``labels`` for one label a clip; ``votes`` for the share of people's votes that each label
            got, where the data has votes, such as FER+, and for labels elsewhere.
        label_smoothing: of the cross-entropy against labels; votes are taken as they are.
        dropout: before the classifier.
        balance: 0 draws clips as they come, 1 draws every class equally often, between them in proportion
            to count ** (1 - balance).
        distill: weight of the distillation loss beside the cross-entropy, where teachers are given: the
            divergence of the student's softened probabilities from theirs (Hinton et al., arXiv 1503.02531).
        temperature: τ, which divides all logits in it; the loss is multiplied by τ², as section 2 there does.
        distill_views: views drawn of each clip, once and for all; teachers see each once, and their logits
            are kept for every training with these views. 0 draws new views in every epoch, and runs the
            teachers at every step.
        select: validation figure that chooses the best epoch; the other one breaks ties.
        sdl: emotion-anchor self-distillation, from clips that are not mixed: without mixup and CutMix.
        augment: random changes to the clips.
    """

    epochs: int = 100
    epoch_clips: int = 0
    batch_clips: int = 8
    accumulate: int = 1
    lr: float = 1e-5
    weight_decay: float = 0.05
    warmup_epochs: float = 2.0
    final_lr_fraction: float = 0.01
    layer_decay: float = 1.0
    landmark_lr: float = 0.0
    ema: float = 0.0
    clip_norm: float = 1.0
    targets: TargetKind = "labels"
    label_smoothing: float = 0.1
    dropout: float = 0.5
    balance: float = 0.0
    distill: float = 1.0
    temperature: float = 2.0
    distill_views: int = 4
    select: Selection = "war"
    sdl: SdlSettings = field(default_factory=SdlSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        within(1, MOST_COUNTED, epochs=self.epochs, batch_clips=self.batch_clips)
        within(1, MOST_AT_ONCE, accumulate=self.accumulate)
        within(0, MOST_LISTED, epoch_clips=self.epoch_clips)
        within(0, MOST_COUNTED, clip_norm=self.clip_norm)
        within(0, LARGEST, weight_decay=self.weight_decay, warmup_epochs=self.warmup_epochs)
        within(0, LARGEST, distill=self.distill)
        within(0, MOST_AT_ONCE, distill_views=self.distill_views)
        above(0, LARGEST, lr=self.lr, temperature=self.temperature)
        within(0, 1, final_lr_fraction=self.final_lr_fraction, balance=self.balance)
        within(0, 1, landmark_lr=self.landmark_lr)
        above(0, 1, layer_decay=self.layer_decay)
        below(0, 1, ema=self.ema, label_smoothing=self.label_smoothing, dropout=self.dropout)
        if self.sdl.weight and (self.augment.mixup or self.augment.cutmix):
            raise ConfigError(
                f"sdl.weight={self.sdl.weight} does nothing with augment.mixup={self.augment.mixup} and "
                f"augment.cutmix={self.augment.cutmix}: they mix every batch, and anchors come from unmixed "
                "clips; set both to 0, or sdl.weight"
            )
        if self.targets not in get_args(TargetKind):
            raise ConfigError(f"targets={self.targets!r} must be one of {', '.join(get_args(TargetKind))}")
        if self.select not in get_args(Selection):
            raise ConfigError(f"select={self.select!r} must be one of {', '.join(get_args(Selection))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkSettings:
    """Training of a landmark network: on avatars where none is given, or on photographs in its own stage.

    Attributes:
        steps: optimisation steps.
        batch_frames: frames per step.
        lr: peak learning rate of AdamW.
        pool_frames: training frames read into memory to draw from.
    """

    steps: int = 160
    batch_frames: int = 32
    lr: float = 4e-3
    pool_frames: int = 2000

    def __post_init__(self) -> None:
        within(1, MOST_COUNTED, "landmark.", steps=self.steps)
        within(1, MOST_AT_ONCE, "landmark.", batch_frames=self.batch_frames)
        within(1, MOST_COUNTED, "landmark.", pool_frames=self.pool_frames)
        above(0, LARGEST, "landmark.", lr=self.lr)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """A whole training: its stages, and what they share.

    Attributes:
        seed: of everything random.
        workers: processes that decode and crop; 0 takes one per core.
        amp: mixed precision on CUDA.
        cpu_bfloat16: mixed precision on a CPU, too, if it multiplies bfloat16 itself (AVX512-BF16, AMX);
            others compute in FP32, with a warning.
        cache_landmarks: compute the frozen landmark network's maps once per prepared frame (and its
            mirror image) instead of at every step. Geometric augmentation then moves the maps along; changes
            of colour and erased rectangles do not affect them. A stage that trains the network caches none.
        undecided: train also on clips whose votes name no label by majority. Every stage then needs
            ``targets = "votes"``, and no self-distillation, whose anchors are kept by label.
        val_fraction: share of the training clips kept for validation where there is no ``val`` split.
        set_weights: how often a clip of each ``--data`` is drawn, relative to the others, in their order; one
            value stands for all. ``[1, 3]`` draws each clip of the second set three times as often as one of
            the first. The sets count as much in the choice of the best epoch.
        margin: added around the face when it is cropped, as a fraction of its side.
        temporal_scale: amplitude of the sine-cosine times a fresh temporal embedding starts from. 0, as
            published, keeps an image model's logits; above it the order of frames has an effect from the
            first step, and a short training learns it.
        temporal_contrast: fresh causal adapters start from differences in time, where parts that do not move
            cancel; classes that differ in time alone are then learnt sooner (docs/measured/training.md).
        head_scale: factor on the usual size of a fresh head. Classes that differ in time alone, such as onset
            and offset, are not learnt from a head near 0: adapters that add 0 give the head no gradient to
            separate them, and the head gives the adapters none. 10 is enough (docs/measured/training.md).
        snapshot_minutes: time between snapshots within an epoch, beside the one at its end; 0 takes none.
    """

    seed: int = 0
    workers: int = 0
    amp: bool = True
    cpu_bfloat16: bool = False
    cache_landmarks: bool = False
    undecided: bool = False
    val_fraction: float = 0.1
    set_weights: tuple[float, ...] = (1.0,)
    margin: float = 0.2
    temporal_scale: float = 0.0
    temporal_contrast: bool = False
    head_scale: float = 1.0
    snapshot_minutes: float = 10.0
    image: StageSettings = field(default_factory=StageSettings)
    video: StageSettings = field(default_factory=StageSettings)
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)
    landmark: LandmarkSettings = field(default_factory=LandmarkSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MOST_SEED:
            raise ConfigError(f"seed={self.seed} must be a whole number from 0 to {MOST_SEED}")
        within(0, 1024, workers=self.workers)
        within(0, LARGEST, temporal_scale=self.temporal_scale, head_scale=self.head_scale)
        within(0, LARGEST, snapshot_minutes=self.snapshot_minutes)
        within(0, 2, margin=self.margin)
        if not self.set_weights:
            raise ConfigError("set_weights=[] must have one value, or one for each --data")
        for weight in self.set_weights:
            above(0, LARGEST, set_weights=weight)
        if self.video.landmark_lr:
            raise ConfigError(
                f"video.landmark_lr={self.video.landmark_lr} must be 0: the video stage freezes the landmark "
                "network; tune it in the image stage (image.landmark_lr)"
            )
        if not 0 < self.val_fraction < 1:
            raise ConfigError(f"val_fraction={self.val_fraction} must lie in (0, 1)")
