"""The training loop of one stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from s2d_edge.console import Console
from s2d_edge.errors import TrainingError
from s2d_edge.model.checkpoint import save_run, save_weights
from s2d_edge.model.s2d import S2D
from s2d_edge.runs import RunInfo
from s2d_edge.train.anchors import EmotionAnchors
from s2d_edge.train.curves import draw_curves
from s2d_edge.train.feed import Batch, Feed
from s2d_edge.train.interrupt import InterruptGuard
from s2d_edge.train.optimizer import make_optimizer
from s2d_edge.train.order import epoch_order
from s2d_edge.train.progress import LAST_WEIGHTS, Progress, Snapshot, save_snapshot
from s2d_edge.train.schedule import learning_rate
from s2d_edge.train.settings import StageSettings
from s2d_edge.train.teacher import Teacher
from s2d_edge.train.validate import Score, validate

_NAMES_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One stage to train.

    Attributes:
        model: on ``device``, with ``requires_grad`` set on what trains.
        info: describes the run; its hash of the weights is filled in at every new best epoch.
        settings: of this stage.
        teacher: a model whose logits are followed too.
        seed: of everything random.
        train: training clips.
        val: validation clips, which choose the best epoch.
        folder: the run folder.
        amp: mixed precision, on CUDA only.
    """

    model: S2D
    info: RunInfo
    settings: StageSettings
    teacher: Teacher | None
    seed: int
    train: Feed
    val: Feed
    folder: Path
    device: torch.device
    amp: bool


class StageTraining:
    """Trains one stage, from the beginning or from a snapshot."""

    def __init__(self, job: Job, guard: InterruptGuard, console: Console) -> None:
        self.job = job
        self.progress = Progress()
        self._guard = guard
        self._console = console
        settings = job.settings
        self._epoch_clips = settings.epoch_clips or len(job.train.clips)
        self._steps = -(-self._epoch_clips // settings.batch_clips)
        self._optimizer = make_optimizer(job.model, settings)
        self._anchors = EmotionAnchors(job.model.config.classes, job.model.config.vit.width, settings.sdl)
        self._anchors.to(job.device)
        self._average = (
            AveragedModel(job.model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
            if settings.ema
            else None
        )
        self._trainable = [p for p in job.model.parameters() if p.requires_grad]
        cuda = job.device.type == "cuda"
        self._amp_dtype = torch.bfloat16 if cuda and torch.cuda.is_bf16_supported() else torch.float16
        self._amp = job.amp and cuda
        self._scaler = torch.amp.GradScaler(
            job.device.type, enabled=self._amp and self._amp_dtype is torch.float16
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of the same job."""
        self.job.model.load_state_dict(snapshot.model)
        self._optimizer.load_state_dict(snapshot.optimizer)
        self._scaler.load_state_dict(snapshot.scaler)
        if snapshot.anchors:
            self._anchors.load_state_dict(snapshot.anchors)
        if self._average is not None:
            self._average.load_state_dict(snapshot.average)
        self.progress = snapshot.progress

    def run(self) -> None:
        """Train to the last epoch; the run folder then holds the best and the last weights.

        Raises:
            KeyboardInterrupt: asked to stop; everything is saved and can be resumed.
            TrainingError: the loss is no longer a number.
        """
        epochs = self.job.settings.epochs
        while self.progress.epoch < epochs:
            title = f"{self.job.info.stage} epoch {self.progress.epoch + 1}/{epochs}"
            with self._console.progress(title, self._steps) as advance:
                advance(self.progress.step)
                for _ in self._train_steps():
                    advance(1)
            score = self._timed_validation()
            self._finish_epoch(score)
        save_weights(self._answering, self.job.folder / LAST_WEIGHTS)
        draw_curves(self.progress.history, self.job.folder, title=self.job.info.name)

    def _train_steps(self) -> Iterator[None]:
        """The remaining steps of the epoch under way, yielding after each."""
        job, settings, progress = self.job, self.job.settings, self.progress
        order = epoch_order(
            job.train.clips.labels,
            seed=job.seed,
            epoch=progress.epoch,
            balance=settings.balance,
            clips=self._epoch_clips,
        )
        while progress.step < self._steps:
            started = time.perf_counter()
            first = progress.step * settings.batch_clips
            self._step(order[first : first + settings.batch_clips])
            progress.step += 1
            progress.seconds += time.perf_counter() - started
            self._stop_if_asked()
            yield

    def _step(self, chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        job, settings, progress = self.job, self.job.settings, self.progress
        step_seed = _step_seed(job.seed, progress.epoch, progress.step)
        torch.manual_seed(step_seed)  # dropout
        generator = torch.Generator().manual_seed(step_seed)
        batch = job.train.training_batch(chosen, settings.augment, generator).to(job.device)
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate() * group["lr_share"]
        job.model.train()
        with torch.autocast(job.device.type, dtype=self._amp_dtype, enabled=self._amp):
            features = job.model.features(batch.clip, batch.maps)
            logits = job.model.classify(features)
            loss = _cross_entropy(logits.float(), batch, settings.label_smoothing)
            if job.teacher is not None and settings.distill:
                loss = loss + settings.distill * job.teacher.loss(logits, batch, settings.temperature)
            if sdl_weight := settings.sdl.weight_at(progress.epoch, settings.epochs):
                loss = loss + sdl_weight * self._anchors.loss(logits, features)
        value = float(loss.detach())
        if not np.isfinite(value):
            names = [job.train.clips.names[i] for i in chosen[:_NAMES_SHOWN]]
            more = f" and {len(chosen) - len(names)} more" if len(chosen) > len(names) else ""
            raise TrainingError(
                f"the loss became {value} in epoch {progress.epoch + 1}, step {progress.step + 1} on "
                f"{', '.join(names)}{more}; lower {job.info.stage}.lr (now {settings.lr}), or check them"
            )
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimizer)
        if settings.clip_norm:
            nn.utils.clip_grad_norm_(self._trainable, settings.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._average is not None:
            self._average.update_parameters(job.model)
        if settings.sdl.weight and batch.mixture is None:
            self._anchors.remember(features, logits, batch.labels)
        progress.loss_sum += value * len(chosen)
        progress.clips_seen += len(chosen)

    @property
    def _answering(self) -> S2D:
        """The model that is validated and kept: the trained one, or its moving average."""
        return self.job.model if self._average is None else cast(S2D, self._average.module)

    def _learning_rate(self) -> float:
        settings, progress = self.job.settings, self.progress
        return learning_rate(
            progress.epoch * self._steps + progress.step,
            total=settings.epochs * self._steps,
            warmup=round(settings.warmup_epochs * self._steps),
            peak=settings.lr,
            final=settings.lr * settings.final_lr_fraction,
        )

    def _timed_validation(self) -> Score:
        started = time.perf_counter()
        score = validate(
            self._answering,
            self.job.val,
            self.job.device,
            batch_clips=self.job.settings.batch_clips,
            after_batch=self._stop_if_asked,
        )
        self.progress.seconds += time.perf_counter() - started
        return score

    def _finish_epoch(self, score: Score) -> None:
        job, progress = self.job, self.progress
        record = {
            "epoch": progress.epoch + 1,
            "lr": max(group["lr"] for group in self._optimizer.param_groups),
            "train_loss": progress.loss_sum / progress.clips_seen,
            "val_loss": score.loss,
            "val_war": score.war,
            "val_uar": score.uar,
            "seconds": round(progress.seconds, 3),
        }
        progress.history.append(record)
        figures = [score.war, score.uar] if job.settings.select == "war" else [score.uar, score.war]
        key = [*figures, -score.loss]
        best = key > progress.best
        if best:
            progress.best = key
        progress.next_epoch()
        if best:
            origin = job.info.origin | {"best_epoch": str(record["epoch"])}
            save_run(job.folder, replace(job.info, origin=origin), self._answering)
        save_snapshot(job.folder, self._snapshot())
        self._console.say(
            f"{job.info.stage} epoch {record['epoch']}/{job.settings.epochs}: "
            f"loss {record['train_loss']:.3f}, val loss {score.loss:.3f}, WAR {score.war:.3f}, "
            f"UAR {score.uar:.3f}, {record['seconds']:.1f} s{' (best)' if best else ''}"
        )

    def _stop_if_asked(self) -> None:
        if not self._guard.requested:
            return
        save_snapshot(self.job.folder, self._snapshot())
        save_weights(self._answering, self.job.folder / LAST_WEIGHTS)
        self._console.warn(
            f"stopped in epoch {self.progress.epoch + 1} after step {self.progress.step} of {self._steps}; "
            f"continue with: s2d-edge train --resume {self.job.folder}"
        )
        raise KeyboardInterrupt

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            progress=self.progress,
            model=self.job.model.state_dict(),
            optimizer=self._optimizer.state_dict(),
            scaler=self._scaler.state_dict(),
            anchors=self._anchors.state_dict() if self.job.settings.sdl.weight else {},
            average={} if self._average is None else self._average.state_dict(),
        )


def _cross_entropy(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    """Mean cross-entropy of (B, K) logits; a mixed clip has its partner's label too, in their shares."""
    own = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing, reduction="none")  # (B,)
    if batch.mixture is None:
        return own.mean()
    labels, share = batch.labels[batch.mixture.partner], batch.mixture.share.to(own)
    other = F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    return torch.lerp(other, own, share).mean()


def _step_seed(seed: int, epoch: int, step: int) -> int:
    """A seed of its own for every step, so that a resumed training draws what the whole one draws."""
    return int(np.random.SeedSequence((seed, epoch, step)).generate_state(1, np.uint32)[0])
