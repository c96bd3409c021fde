"""Train a copy of the fused model with fake quantization, for a few hundred steps."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from s2d_edge.calibrate.quantize.recipe import Recipe
from s2d_edge.calibrate.search.tuning import TuningClips, TuningRecord, TuningSettings
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console
from s2d_edge.core.errors import QuantizationError
from s2d_edge.export.fuse import FusedS2D
from s2d_edge.qat.fake_quantize import FakeQuantizedModel

_BACK_OFF = 4.0  # divides the learning rate while no evaluation of the held-out clips was better


def fine_tune(
    fused: FusedS2D,
    recipe: Recipe,
    clips: TuningClips,
    settings: TuningSettings,
    console: Console,
) -> tuple[FusedS2D, TuningRecord]:
    """Fine-tune a copy of ``fused`` so that quantization moves its logits less.

    The targets are FP32's logits, not the labels: the gate measures what INT8 loses, not what a longer
    training would have won. Clips are not augmented, as INT8's input is not either.

    Args:
        fused: the model, full precision.
        recipe: its quantizers are imitated while training.
        clips: to calibrate the fake quantizers on, to train on, and to choose the weights by.

    Returns:
        The model with the weights that were best on the held-out clips, and the record of the training.

    Raises:
        QuantizationError: no weights were better than the first, or the loss is not finite.
    """
    began = time.monotonic()
    train, held_out = clips.train, clips.held_out
    train_logits, targets = _logits(fused, train), _logits(fused, held_out)
    spread = float(train_logits.var()) or 1.0
    model = FakeQuantizedModel(fused, recipe, clips.calibration)
    lr, optimizer = settings.lr, _optimizer(model)
    order = _order(len(train), settings)
    before = _distance(model, held_out, targets)
    best, kept, kept_step, kept_lr, step = before, fused, 0, lr, 0
    every = -(-settings.steps // settings.evaluations)
    with console.progress("fine-tuning", settings.steps) as advance:
        for step in range(1, settings.steps + 1):
            optimizer.param_groups[0]["lr"] = lr * (1 - (step - 1) / settings.steps)
            for index in order[step - 1]:  # one by one: the fused model takes one clip
                logits = model(torch.from_numpy(train[index]))
                loss = F.mse_loss(logits, train_logits[index : index + 1]) / spread
                (loss / settings.batch_clips).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            advance(1)
            late = time.monotonic() - began > settings.limit_s
            if step % every == 0 or step == settings.steps or late:
                distance = _distance(model, held_out, targets)
                if not np.isfinite(distance):
                    raise QuantizationError(
                        f"fine-tuning gave numbers that are not finite after {step} steps; lower --tune-lr"
                    )
                if distance < best:
                    best, kept, kept_step, kept_lr = distance, model.without_quantizers(), step, lr
                elif not kept_step:  # the rate is too high, and the right one differs much between models
                    model.restore()
                    lr, optimizer = lr / _BACK_OFF, _optimizer(model)
            if late:
                console.warn(
                    f"fine-tuning ends after {step} of {settings.steps} steps, at its limit of "
                    f"{settings.limit_s / 60:.0f} minutes"
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
        clips=len(train),
        held_out=len(held_out),
        rms_before=before,
        rms_after=best,
    )
    return kept, record


def _optimizer(model: FakeQuantizedModel) -> torch.optim.Optimizer:
    """Return AdamW without weight decay, since the weights should stay near where they are."""
    return torch.optim.AdamW(model.trainable, lr=0.0, weight_decay=0.0)


def _order(clips: int, settings: TuningSettings) -> NDArray[np.int64]:
    """Return (steps, batch_clips) indices of clips: all of them shuffled, round after round."""
    generator = np.random.default_rng(settings.seed)
    needed = settings.steps * settings.batch_clips
    rounds = [generator.permutation(clips) for _ in range(-(-needed // clips))]
    order: NDArray[np.int64] = np.concatenate(rounds)[:needed].reshape(settings.steps, settings.batch_clips)
    return order


@torch.no_grad()
def _logits(model: FusedS2D | FakeQuantizedModel, clips: Sequence[Clip]) -> Tensor:
    """Return (n, K) logits."""
    return torch.cat([model(torch.from_numpy(clip)) for clip in clips])


def _distance(model: FakeQuantizedModel, clips: Sequence[Clip], targets: Tensor) -> float:
    """Return the RMS difference of the logits from (n, K) targets."""
    return float((_logits(model, clips) - targets).square().mean().sqrt())
