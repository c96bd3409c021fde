"""Quantization-aware fine-tuning as the gate sees it: what it trains on, and what it returns.

The training itself needs the model and PyTorch, which measuring does without. It is in :mod:`s2d_edge.qat`,
and the caller of a calibration passes it in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from s2d_edge.calibrate.clips.choice import ChosenClips, load_windows
from s2d_edge.calibrate.clips.disjoint import record, require_disjoint
from s2d_edge.calibrate.clips.samples import choose_samples
from s2d_edge.calibrate.quantize.recipe import Recipe
from s2d_edge.contracts.bundle import Bundle, Manifest
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.data.reading.split_names import TRAIN
from s2d_edge.data.reading.splits import carve_validation
from s2d_edge.data.reading.unlabelled import open_unlabelled

NOT_TUNED = (
    "not tried: it starts from the weights of the run that the bundle was exported from; give --run RUN"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningSettings:
    """Length and learning rate of the fine-tuning, which moves good weights only a little.

    Attributes:
        steps: of the optimizer.
        lr: learning rate of the first step. It falls linearly to zero. As long as no evaluation of the
            held-out clips was better than the first, it is divided by 4 and training restarts.
        batch_clips: clips of a step.
        clips: most clips to train on, the classes in turn.
        limit_bytes: most memory for their pictures; fewer clips are taken where they need more.
        held_out: share of these clips, whole people, that are not trained on. They choose the weights kept,
            so that the validation clips decide only what they decide about every other recipe.
        evaluations: number of times the held-out clips are evaluated.
        data: pictures or videos to train on, without labels, as ``--data`` or a folder; None takes those of
            the calibration split.
        limit_s: seconds after which training stops and keeps the best weights so far.
        seed: of the order of clips.
    """

    steps: int = 300
    lr: float = 1e-5
    batch_clips: int = 4
    clips: int = 512
    limit_bytes: int = 2**30
    held_out: float = 0.2
    evaluations: int = 10
    limit_s: float = 3600.0
    seed: int = 0
    data: str | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(
                f"--tune-steps {self.steps}: at least one step is needed; leave out --run for none"
            )
        if not 0 < self.lr < 1:
            raise ConfigError(f"--tune-lr {self.lr}: give a learning rate between 0 and 1, such as 1e-5")

    def affordable(self, clip_bytes: int) -> int:
        """Return the number of clips to train on, each of ``clip_bytes``."""
        return max(2, min(self.clips, self.limit_bytes // clip_bytes))  # one is held out


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRecord:
    """Record of a fine-tuning.

    Attributes:
        steps: taken; fewer than requested where the time ran out.
        kept_step: the weights kept are those after so many.
        lr: learning rate that the weights kept began with.
        seconds: duration.
        clips, held_out: numbers of clips trained on, and held out.
        rms_before, rms_after: RMS difference of the logits on the held-out clips from FP32's, with fake
            quantization: before the first step, and with the weights kept.
    """

    steps: int
    kept_step: int
    lr: float
    seconds: float
    clips: int
    held_out: int
    rms_before: float
    rms_after: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TuningClips:
    """Clips of a fine-tuning, (1, T, S, S, 3) uint8 each.

    Attributes:
        calibration: the ranges of the fake quantizers come from them.
        train: to train on.
        held_out: to choose the weights kept by.
    """

    calibration: Sequence[Clip]
    train: Sequence[Clip]
    held_out: Sequence[Clip]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """An FP32 bundle with fine-tuned weights, and the record of their training."""

    bundle: Bundle
    record: TuningRecord


class Tuner(Protocol):
    """Fine-tunes the model of an FP32 bundle."""

    @property
    def settings(self) -> TuningSettings: ...

    def check(self, source: Bundle) -> None:
        """Raise ConfigError unless ``source`` was exported from the weights at hand."""

    def tune(
        self, source: Bundle, recipe: Recipe, clips: TuningClips, folder: Path, console: Console
    ) -> Tuned:
        """Fine-tune, and write the new FP32 bundle into the empty ``folder``.

        Args:
            recipe: its quantizers are imitated while training.

        Raises:
            QuantizationError: training brought the logits no nearer to FP32's.
        """


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuning:
    """A tuner and the loader of its clips, which are loaded only when its step is reached."""

    tuner: Tuner
    load: Callable[[], tuple[Sequence[Clip], Sequence[Clip]]]

    @property
    def settings(self) -> TuningSettings:
        """Settings of the tuner."""
        return self.tuner.settings

    def tune(
        self, source: Bundle, recipe: Recipe, calibration: Sequence[Clip], folder: Path, console: Console
    ) -> Tuned:
        """Load the clips, and fine-tune."""
        train, held_out = self.load()
        clips = TuningClips(calibration=calibration, train=train, held_out=held_out)
        return self.tuner.tune(source, recipe, clips, folder, console)


def prepare_tuning(tuner: Tuner, clips: ChosenClips, manifest: Manifest, console: Console) -> Tuning:
    """Choose clips to train on, none of which is validated or evaluated on.

    They need no labels: the model's own logits in full precision are followed.

    Raises:
        DataError: some are, too few people are in them to hold any out, or there are none.
    """
    settings, spec, choice = tuner.settings, manifest.spec, clips.choice
    count = settings.affordable(spec.frames * spec.size**2 * 3)
    dataset, split = clips.dataset, choice.split
    if settings.data is not None:
        dataset, split = open_unlabelled((settings.data,), console, missing_ok=choice.skip_unreadable), TRAIN
    samples = choose_samples(dataset, split, count, choice.seed)
    records = record(samples, dataset.root)
    require_disjoint(samples, records, clips.evaluation, kind="training")
    assert clips.validation is not None  # only a gate has a tuner
    require_disjoint(samples, records, clips.validation.samples, kind="training", split="validation")
    train, held_out = carve_validation(
        samples, fraction=settings.held_out, seed=choice.seed, spare_classes=False
    )

    def load(chosen: Sequence[Sample], kind: str) -> Sequence[Clip]:
        _, windows = load_windows(chosen, manifest, kind, console, skip_unreadable=choice.skip_unreadable)
        return windows

    return Tuning(tuner=tuner, load=lambda: (load(train, "training"), load(held_out, "held-out")))
