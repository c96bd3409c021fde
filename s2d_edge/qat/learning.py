"""The few hundred steps in which weights learn to bear rounding."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from s2d_edge.calibrate.quantize.recipe import Recipe
from s2d_edge.calibrate.search.tuning import Lesson, TuningRecord, TuningSettings
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console
from s2d_edge.core.errors import QuantizationError
from s2d_edge.export.fuse import FusedS2D
from s2d_edge.qat.rounding import RoundingModel

_BACK_OFF = 4.0  # what the learning rate is divided by while no look at the held-out clips was better


def learn(
    fused: FusedS2D,
    recipe: Recipe,
    lesson: Lesson,
    settings: TuningSettings,
    console: Console,
) -> tuple[FusedS2D, TuningRecord]:
    """Fine-tune a copy of ``fused`` so that rounding moves its logits less.

    What is learnt is FP32's logits, not the labels: the gate asks what INT8 loses, not what a longer training
    would have won. Clips are taken as they are, since what INT8 will see is not augmented either.

    Returns:
        The weights that answered the held-out clips best, and how it went.

    Raises:
        QuantizationError: none did better than those it began with, or the loss is no longer a number.
    """
    began = time.monotonic()
    clips, held_out = lesson.clips, lesson.held_out
    wanted, targets = _answers(fused, clips), _answers(fused, held_out)
    spread = float(wanted.var()) or 1.0
    model = RoundingModel(fused, recipe, lesson.calibration)
    lr, optimizer = settings.lr, _optimizer(model)
    order = _order(len(clips), settings)
    before = _distance(model, held_out, targets)
    best, kept, kept_step, kept_lr, step = before, fused, 0, lr, 0
    every = -(-settings.steps // settings.looks)
    with console.progress("fine-tuning", settings.steps) as advance:
        for step in range(1, settings.steps + 1):
            optimizer.param_groups[0]["lr"] = lr * (1 - (step - 1) / settings.steps)
            for index in order[step - 1]:  # one by one: the fused model takes one clip
                logits = model(torch.from_numpy(clips[index]))
                loss = F.mse_loss(logits, wanted[index : index + 1]) / spread
                (loss / settings.batch_clips).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            advance(1)
            late = time.monotonic() - began > settings.limit_s
            if step % every == 0 or step == settings.steps or late:
                distance = _distance(model, held_out, targets)
                if not np.isfinite(distance):
                    raise QuantizationError(
                        f"fine-tuning came to numbers that are not finite after {step} steps; lower --tune-lr"
                    )
                if distance < best:
                    best, kept, kept_step, kept_lr = distance, model.without_rounding(), step, lr
                elif not kept_step:  # too bold from the start: how bold is right differs much between models
                    model.begin_again()
                    lr, optimizer = lr / _BACK_OFF, _optimizer(model)
            if late:
                console.warn(
                    f"fine-tuning ends after {step} steps: its {settings.limit_s / 60:.0f} minutes are over"
                )
                break
    if not kept_step:
        raise QuantizationError(
            f"{step} steps of fine-tuning brought the logits of {len(held_out)} held-out clips no "
            f"nearer to FP32's than {before:.3f} (RMS); change --tune-lr or --tune-steps"
        )
    record = TuningRecord(
        steps=step,
        kept_step=kept_step,
        lr=kept_lr,
        seconds=time.monotonic() - began,
        clips=len(clips),
        held_out=len(held_out),
        rms_before=before,
        rms_after=best,
    )
    return kept, record


def _optimizer(model: RoundingModel) -> torch.optim.Optimizer:
    """Without weight decay: the weights are to stay near where they are."""
    return torch.optim.AdamW(model.trainable, lr=0.0, weight_decay=0.0)


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
