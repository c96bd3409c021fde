"""Quantization-aware fine-tuning as the gate knows it: what it learns from, and what comes of it.

The learning itself needs the model and PyTorch, which measuring does without: it is in
:mod:`s2d_edge.tuning`, and whoever asks for a calibration hands it in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from s2d_edge.calibrate.quantize.recipe import Recipe
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError

NOT_TUNED = (
    "not tried: it learns from the weights of the run that the bundle was exported from; give --run RUN"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningSettings:
    """How long and how boldly to learn. The weights are good already, and only to be moved a little.

    Attributes:
        steps: of the optimizer.
        lr: learning rate of the first step; it falls in a line to nothing, and to a quarter at once, from the
            first weights again, as long as no look at the held-out clips was better than before.
        batch_clips: clips of a step.
        clips: at most so many to learn from, the classes in turn.
        limit_bytes: of memory for their pictures; fewer clips are taken where it does not hold them.
        held_out: share of these clips, whole people, that nothing is learnt from: they choose the weights
            kept, so that the validation clips decide only what they decide about every other recipe.
        looks: how often the held-out clips are looked at.
        limit_s: seconds after which learning ends with what it has.
        seed: of the order of clips.
    """

    steps: int = 300
    lr: float = 1e-5
    batch_clips: int = 4
    clips: int = 512
    limit_bytes: int = 2**30
    held_out: float = 0.2
    looks: int = 10
    limit_s: float = 3600.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(
                f"--tune-steps {self.steps}: at least one step is needed; leave out --run for none"
            )
        if not 0 < self.lr < 1:
            raise ConfigError(f"--tune-lr {self.lr}: give a learning rate between 0 and 1, such as 1e-5")

    def affordable(self, clip_bytes: int) -> int:
        """How many clips of so many bytes to learn from."""
        return max(2, min(self.clips, self.limit_bytes // clip_bytes))  # one is held out


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRecord:
    """What the learning was.

    Attributes:
        steps: taken; fewer than asked for where the time ran out.
        kept_step: the weights kept are those after so many.
        lr: learning rate that the weights kept began with.
        seconds: of it all.
        clips, held_out: learnt from, and looked at.
        rms_before, rms_after: how far the logits on the held-out clips are from FP32's with rounding
            imitated, before the first step and with the weights kept.
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
class Lesson:
    """Clips, (1, T, S, S, 3) uint8 each.

    Attributes:
        calibration: that the ranges of the imitated rounding come from.
        clips: to learn from.
        held_out: to choose the weights kept by.
    """

    calibration: Sequence[Clip]
    clips: Sequence[Clip]
    held_out: Sequence[Clip]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """An FP32 bundle with fine-tuned weights, and how they came about."""

    bundle: Bundle
    record: TuningRecord


class Tuner(Protocol):
    """Fine-tunes the model of an FP32 bundle."""

    @property
    def settings(self) -> TuningSettings: ...

    def check(self, source: Bundle) -> None:
        """Raises: ConfigError: the run at hand is not what ``source`` was exported from."""

    def tune(self, source: Bundle, recipe: Recipe, lesson: Lesson, folder: Path, console: Console) -> Tuned:
        """Write into the empty ``folder`` what becomes of ``source``.

        Args:
            recipe: whose rounding is imitated while learning.

        Raises:
            QuantizationError: learning brought the logits no nearer to FP32's.
        """


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuning:
    """A tuner and how to come by what it learns from: loaded when it is its turn, which it seldom is."""

    tuner: Tuner
    load: Callable[[], tuple[Sequence[Clip], Sequence[Clip]]]

    @property
    def settings(self) -> TuningSettings:
        """Of the tuner."""
        return self.tuner.settings

    def tune(
        self, source: Bundle, recipe: Recipe, calibration: Sequence[Clip], folder: Path, console: Console
    ) -> Tuned:
        """Load the clips, and learn."""
        clips, held_out = self.load()
        lesson = Lesson(calibration=calibration, clips=clips, held_out=held_out)
        return self.tuner.tune(source, recipe, lesson, folder, console)
