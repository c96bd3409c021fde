"""The few hundred steps in which weights learn to bear rounding."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from calibrate.recipe import Recipe
from calibrate.tuning import Lesson, TuningRecord, TuningSettings
from export.fuse import FusedS2D
from s2d_edge.console import Console
from s2d_edge.engine import Clip
from s2d_edge.errors import QuantizationError
from s2d_edge.tuning.rounding import RoundingModel


def learn(
    fused: FusedS2D,
    recipe: Recipe,
    calibration: Sequence[Clip],
    lesson: Lesson,
    held_out: Lesson,
    settings: TuningSettings,
    console: Console,
) -> tuple[FusedS2D, TuningRecord]:
    """Fine-tune a copy of ``fused`` so that rounding moves its logits less.

    What is learnt is FP32's logits, more than labels: the gate asks what INT8 loses, not what a longer
    training would have won. Clips are taken as they are, since what INT8 will see is not augmented either.

    Returns:
        The weights that answered the held-out clips best, and how it went.

    Raises:
        QuantizationError: none did better than those it began with, or the loss is no longer a number.
    """
    began = time.monotonic()
    wanted, targets = _answers(fused, lesson.clips), _answers(fused, held_out.clips)
    spread = float(wanted.var()) or 1.0
    labels = torch.from_numpy(lesson.labels)
    model = RoundingModel(fused, recipe, calibration)
    optimizer = torch.optim.AdamW(model.trainable, lr=settings.lr, weight_decay=0.0)  # they are to stay near
    order = _order(len(lesson.clips), settings)
    before = _distance(model, held_out.clips, targets)
    best, kept, kept_step, step = before, fused, 0, 0
    every = -(-settings.steps // settings.looks)
    with console.progress("fine-tuning", settings.steps) as advance:
        for step in range(1, settings.steps + 1):
            optimizer.param_groups[0]["lr"] = settings.lr * (1 - (step - 1) / settings.steps)
            for index in order[step - 1]:  # one by one: the fused model takes one clip
                logits = model(torch.from_numpy(lesson.clips[index]))
                loss = F.mse_loss(logits, wanted[index : index + 1]) / spread
                loss = loss + settings.label_weight * F.cross_entropy(logits, labels[index : index + 1])
                (loss / settings.batch_clips).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            advance(1)
            late = time.monotonic() - began > settings.limit_s
            if step % every == 0 or step == settings.steps or late:
                distance = _distance(model, held_out.clips, targets)
                if not np.isfinite(distance):
                    raise QuantizationError(
                        f"fine-tuning came to numbers that are not finite after {step} steps; lower --tune-lr"
                    )
                if distance < best:
                    best, kept, kept_step = distance, model.without_rounding(), step
            if late:
                console.warn(
                    f"fine-tuning ends after {step} steps: its {settings.limit_s / 60:.0f} minutes are over"
                )
                break
    if not kept_step:
        raise QuantizationError(
            f"{step} steps of fine-tuning brought the logits of {len(held_out.clips)} held-out clips no "
            f"nearer to FP32's than {before:.3f} (RMS); change --tune-lr or --tune-steps"
        )
    record = TuningRecord(
        steps=step,
        kept_step=kept_step,
        lr=settings.lr,
        seconds=time.monotonic() - began,
        clips=len(lesson.clips),
        held_out=len(held_out.clips),
        rms_before=before,
        rms_after=best,
    )
    return kept, record


def _order(clips: int, settings: TuningSettings) -> NDArray[np.int64]:
    """(steps, batch_clips) numbers of clips: all of them, shuffled, again and again."""
    generator = np.random.default_rng(settings.seed)
    needed = settings.steps * settings.batch_clips
    rounds = [generator.permutation(clips) for _ in range(-(-needed // clips))]
    order: NDArray[np.int64] = np.concatenate(rounds)[:needed].reshape(settings.steps, settings.batch_clips)
    return order


@torch.no_grad()
def _answers(model: FusedS2D | RoundingModel, clips: Sequence[Clip]) -> Tensor:
    """(n, K) logits."""
    return torch.cat([model(torch.from_numpy(clip)) for clip in clips])


def _distance(model: RoundingModel, clips: Sequence[Clip], wanted: Tensor) -> float:
    """How far the logits are from (n, K) wanted ones, RMS."""
    return float((_answers(model, clips) - wanted).square().mean().sqrt())
