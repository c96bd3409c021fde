"""The training loop of one stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from s2d_edge.console import Console
from s2d_edge.errors import CheckpointError, TrainingError
from s2d_edge.model.s2d import S2D
from s2d_edge.runs import RunInfo
from s2d_edge.train.anchors import EmotionAnchors
from s2d_edge.train.feed import Batch, Feed
from s2d_edge.train.interrupt import InterruptGuard
from s2d_edge.train.learner import Learner
from s2d_edge.train.order import epoch_order
from s2d_edge.train.processes import Processes
from s2d_edge.train.progress import Progress, Snapshot
from s2d_edge.train.record import Record
from s2d_edge.train.schedule import learning_rate
from s2d_edge.train.settings import StageSettings
from s2d_edge.train.teacher import Teacher
from s2d_edge.train.validate import Score, validate

_NAMES_SHOWN = 4
_ANY = np.zeros(1, dtype=np.int64)  # a clip of the batch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One stage to train.

    Attributes:
        model: on the device of ``processes``, with ``requires_grad`` set on what trains.
        info: describes the run; its hash of the weights is filled in at every new best epoch.
        settings: of this stage.
        teacher: a model whose logits are followed too.
        seed: of everything random.
        train: training clips.
        val: validation clips, which choose the best epoch.
        folder: the run folder.
        processes: those that train together.
        amp: mixed precision, on CUDA only.
        snapshot_minutes: how often the training is saved beside the end of each epoch; 0 never.
        score_start: validate before the first step, too, as epoch 0.
    """

    model: S2D
    info: RunInfo
    settings: StageSettings
    teacher: Teacher | None
    seed: int
    train: Feed
    val: Feed
    folder: Path
    processes: Processes
    amp: bool
    snapshot_minutes: float = 0.0
    score_start: bool = False


class StageTraining:
    """Trains one stage, from the beginning or from a snapshot.

    Every process takes the same steps, each on its share of the batch. Together they take the step that one
    alone would take on the whole batch, but for the clips' dropout.
    """

    def __init__(self, job: Job, guard: InterruptGuard, console: Console) -> None:
        self.job = job
        self.progress = Progress(start_unscored=job.score_start)
        self._guard = guard
        self._console = console
        settings = job.settings
        self._epoch_clips = settings.epoch_clips or len(job.train.clips)
        self._steps = -(-self._epoch_clips // settings.batch_clips)
        self._average = (
            AveragedModel(job.model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
            if settings.ema
            else None
        )
        self._learner = Learner(job.model, settings, job.processes, amp=job.amp)
        self._anchors = EmotionAnchors(job.model.config.classes, job.model.config.vit.width, settings.sdl)
        self._anchors.to(job.processes.device)
        self._record = Record(job.folder, job.info, job.processes)
        self._saved_at = time.monotonic()

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of the same job.

        Raises:
            CheckpointError: it is of another one.
        """
        try:
            self.job.model.load_state_dict(snapshot.model)
            self._learner.load_state_dict(snapshot.optimizer, snapshot.scaler)
            if snapshot.anchors:
                self._anchors.load_state_dict(snapshot.anchors)
            if self._average is not None:
                self._average.load_state_dict(snapshot.average)
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"the snapshot in {self.job.folder} does not fit its training, perhaps because another "
                f"version made it ({str(error).splitlines()[0]}); start anew with --init {self.job.folder}"
            ) from None
        self.progress = snapshot.progress

    def run(self) -> None:
        """Train to the last epoch; the run folder then holds the best and the last weights.

        Raises:
            KeyboardInterrupt: asked to stop; everything is saved and can be resumed.
            TrainingError: the loss is no longer a number.
        """
        job, epochs = self.job, self.job.settings.epochs
        with closing(self._record):
            self._record.begin(self._snapshot(), self._learner.precision)
            if self.progress.start_unscored:
                self._score_start()
            while self.progress.epoch < epochs:
                title = f"{job.info.stage} epoch {self.progress.epoch + 1}/{epochs}"
                with self._console.progress(title, self._steps) as advance:
                    advance(self.progress.step)
                    for _ in self._train_steps():
                        advance(1)
                self._finish_epoch(self._timed_validation())
            self._record.last(self._answering)
            self._record.finish(self.progress)
        job.processes.wait()  # until the first one has written what a next stage reads

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
            stop = self._step(order[first : first + settings.batch_clips])
            progress.step += 1
            progress.seconds += time.perf_counter() - started
            if stop:
                self._stop()
            if job.snapshot_minutes and time.monotonic() - self._saved_at > 60 * job.snapshot_minutes:
                self._record.pause(self._snapshot())
                self._saved_at = time.monotonic()
            yield

    def _step(self, chosen: NDArray[np.int64]) -> bool:
        """One step on the clips ``chosen``, of which this process takes its share.

        Returns:
            Whether any process was asked to stop.
        """
        job, settings, progress = self.job, self.job.settings, self.progress
        config, processes = job.model.config, job.processes
        share = processes.share(len(chosen))
        pieces = [piece for piece in np.array_split(share, settings.accumulate) if len(piece)]
        counts = bool(pieces)  # without a clip of its own, a process takes part with any one, for nothing
        seed = _step_seed(job.seed, progress.epoch, progress.step)
        torch.manual_seed(seed + processes.rank)  # dropout
        loss_sum = torch.zeros((), device=processes.device)
        answers = torch.zeros(len(chosen), config.vit.width + config.classes, device=processes.device)
        job.model.train()
        for number, piece in enumerate(pieces or [_ANY], start=1):
            generator = torch.Generator().manual_seed(seed)  # each piece draws what the whole batch would
            batch = job.train.training_batch(chosen, settings.augment, generator, piece).to(processes.device)
            with self._learner.piece(last=number >= len(pieces)):
                features, logits = self._learner.answer(batch.clip, batch.maps)
                losses = self._losses(features, logits, batch)
                # Gradients are averaged over the processes; that shall give those of the mean over the clips.
                loss = losses.sum() / (len(chosen) / processes.count)
                self._learner.backward(loss if counts else 0.0 * loss)
            if counts:
                loss_sum += losses.detach().sum()
                answers[piece] = torch.cat((features, logits), dim=1).detach()
        asked = torch.tensor(float(self._guard.requested), device=processes.device)
        total, stop = map(float, processes.sum(torch.stack((loss_sum, asked)).double()))
        if not np.isfinite(total):
            self._give_up(float(loss_sum), [job.train.clips.names[i] for i in chosen[share]])
        self._learner.step(self._learning_rate())
        if self._average is not None:
            self._average.update_parameters(job.model)
        if settings.sdl.weight and batch.blend is None:
            features, logits = processes.sum(answers).split((config.vit.width, config.classes), dim=1)
            labels = torch.from_numpy(job.train.clips.labels[chosen]).to(processes.device)
            self._anchors.remember(features, logits, labels)
        progress.loss_sum += total
        progress.clips_seen += len(chosen)
        return stop > 0

    def _losses(self, features: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """(B,) the loss of each clip of ``batch``."""
        job, settings = self.job, self.job.settings
        losses = _cross_entropy(logits, batch, settings.label_smoothing)
        if job.teacher is not None and settings.distill:
            with self._learner.autocast():
                taught = job.teacher.losses(logits, batch, settings.temperature)
            losses = losses + settings.distill * taught
        if sdl_weight := settings.sdl.weight_at(self.progress.epoch, settings.epochs):
            losses = losses + sdl_weight * self._anchors.losses(logits, features)
        return losses

    def _give_up(self, loss_sum: float, names: list[str]) -> None:
        """End all processes with the clips ``names`` of the first one whose ``loss_sum`` is no number."""
        job, progress, processes = self.job, self.progress, self.job.processes
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        told = (
            f"the loss became {loss_sum} in epoch {progress.epoch + 1}, step {progress.step + 1} on "
            f"{', '.join(names[:_NAMES_SHOWN])}{more}; lower {job.info.stage}.lr (now {job.settings.lr}), or "
            "check them"
        )
        failed = torch.zeros(processes.count, device=processes.device)
        failed[processes.rank] = not np.isfinite(loss_sum)
        raise TrainingError(processes.tell(told, int(processes.sum(failed).argmax())))

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
        settings, processes = self.job.settings, self.job.processes
        started = time.perf_counter()
        score = validate(
            self._answering,
            self.job.val,
            processes,
            batch_clips=-(-settings.batch_clips // (processes.count * settings.accumulate)),
            after_batch=self._stop_if_asked,
        )
        self.progress.seconds += time.perf_counter() - started
        return score

    def _score_start(self) -> None:
        """Epoch 0: how good the weights are that this training starts from. They are not kept as its best."""
        job, progress = self.job, self.progress
        score = self._timed_validation()
        record = {"epoch": 0, **_figures(score), "seconds": round(progress.seconds, 3)}
        progress.history.append(record)
        progress.start_unscored, progress.seconds = False, 0.0
        self._record.epoch(self._snapshot(), record, None)
        self._console.say(f"{job.info.stage} epoch 0, before the first step: {_text(score)}")

    def _finish_epoch(self, score: Score) -> None:
        job, progress = self.job, self.progress
        record = {
            "epoch": progress.epoch + 1,
            "lr": self._learner.lr,
            "train_loss": progress.loss_sum / progress.clips_seen,
            **_figures(score),
            "seconds": round(progress.seconds, 3),
        }
        progress.history.append(record)
        figures = [score.war, score.uar] if job.settings.select == "war" else [score.uar, score.war]
        key = [*figures, -score.loss]
        best = key > progress.best
        if best:
            progress.best, progress.confusion = key, score.confusion.tolist()
        progress.next_epoch()
        self._record.epoch(self._snapshot(), record, self._answering if best else None)
        self._saved_at = time.monotonic()
        self._console.say(
            f"{job.info.stage} epoch {record['epoch']}/{job.settings.epochs}: "
            f"loss {record['train_loss']:.3f}, {_text(score)}, {record['seconds']:.1f} s"
            f"{' (best)' if best else ''}"
        )

    def _stop_if_asked(self) -> None:
        """Stop all processes if any was asked to; called equally often in each."""
        processes = self.job.processes
        if processes.sum(torch.tensor(float(self._guard.requested), device=processes.device)) > 0:
            self._stop()

    def _stop(self) -> None:
        self._record.pause(self._snapshot())
        self._record.last(self._answering)
        self._console.warn(
            f"stopped in epoch {self.progress.epoch + 1} after step {self.progress.step} of {self._steps}; "
            f"continue with: s2d-edge train --resume {self.job.folder}"
        )
        self.job.processes.wait()  # the first to leave has torchrun end the others, who may still be writing
        raise KeyboardInterrupt

    def _snapshot(self) -> Snapshot:
        optimizer, scaler = self._learner.state_dict()
        return Snapshot(
            progress=self.progress,
            model=self.job.model.state_dict(),
            optimizer=optimizer,
            scaler=scaler,
            anchors=self._anchors.state_dict() if self.job.settings.sdl.weight else {},
            average={} if self._average is None else self._average.state_dict(),
        )


def _cross_entropy(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    """(B,) cross-entropy of (B, K) logits; a mixed clip has its partner's label too, in their shares."""
    own = F.cross_entropy(logits, batch.labels, label_smoothing=smoothing, reduction="none")  # (B,)
    if batch.blend is None:
        return own
    other = F.cross_entropy(logits, batch.blend.labels, label_smoothing=smoothing, reduction="none")
    return torch.lerp(other, own, batch.blend.share.to(own))


def _figures(score: Score) -> dict[str, Any]:
    return {"val_loss": score.loss, "val_war": score.war, "val_uar": score.uar}


def _text(score: Score) -> str:
    return f"val loss {score.loss:.3f}, WAR {score.war:.3f}, UAR {score.uar:.3f}"


def _step_seed(seed: int, epoch: int, step: int) -> int:
    """A seed of its own for every step, so that a resumed training draws what the whole one draws."""
    return int(np.random.SeedSequence((seed, epoch, step)).generate_state(1, np.uint32)[0])
