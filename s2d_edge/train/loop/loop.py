"""The training loop of one stage."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from s2d_edge.core.errors import CheckpointError, TrainingError
from s2d_edge.model.s2d import S2D
from s2d_edge.train.loop.divergence import DivergenceError, require_finite_weights
from s2d_edge.train.loop.job import Job, LoopJob
from s2d_edge.train.loop.optimizer import learning_rate
from s2d_edge.train.loop.order import epoch_order
from s2d_edge.train.loop.step import BatchStep, Step
from s2d_edge.train.loop.validate import Score, validate
from s2d_edge.train.record.progress import Progress, Snapshot, how_to_resume
from s2d_edge.train.record.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """The result of a validation.

    Attributes:
        figures: for the epoch's record in ``metrics.jsonl``.
        text: for people.
        confusion: (K, K) confusion matrix, rows truth; empty where there are no labels.
    """

    figures: dict[str, Any]
    text: str
    confusion: list[list[int]] = field(default_factory=list)


class Training(ABC):
    """The epochs of one stage, from the beginning or from a snapshot; kinds of stages add what they learn."""

    def __init__(self, job: LoopJob, step: Step) -> None:
        self.job = job
        self.progress = Progress(start_unscored=job.score_start)
        self._console = job.context.console
        settings = job.settings
        self._epoch_clips = settings.epoch_clips or len(job.train.clips)
        self._steps = -(-self._epoch_clips // settings.batch_clips)
        self._average = (
            AveragedModel(job.model, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
            if settings.ema
            else None
        )
        self._step = step
        self._record = Record(job.folder, job.info, job.context.processes)
        self._saved_at = time.monotonic()

    def restore(self, snapshot: Snapshot) -> None:
        """Resume from a snapshot of the same job.

        Raises:
            CheckpointError: the snapshot is of another job.
        """
        try:
            self.job.model.load_state_dict(snapshot.model)
            self._step.learner.load_state_dict(snapshot.optimizer, snapshot.scaler)
            if snapshot.anchors and self._step.anchors is not None:
                self._step.anchors.load_state_dict(snapshot.anchors)
            if self._average is not None:
                self._average.load_state_dict(snapshot.average)
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"the snapshot in {self.job.folder} does not fit its training, perhaps because another "
                f"version made it ({str(error).splitlines()[0]}); start a new training "
                f"with --init {self.job.folder}"
            ) from None
        self.progress = snapshot.progress

    def run(self) -> None:
        """Train to the last epoch; the run folder then holds the best and the last weights.

        Raises:
            KeyboardInterrupt: requested to stop; everything is saved and can be resumed.
            TrainingError: the loss, the logits or the weights are no longer finite.
        """
        with closing(self._record), self.job.context.interrupt.saving():
            self._record.begin(self._snapshot(), self._step.learner.precision)
            self.job.context.kept.text = how_to_resume(self.job.folder)
            try:
                if self.progress.start_unscored:
                    self._score_start()
                self._run_epochs()
            except DivergenceError as error:
                raise TrainingError(f"{error}; {self._after_divergence()}") from None
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                raise TrainingError(self._too_large()) from None
            self._record.last(self._kept_model)
            self._record.finish(self.progress)
        self.job.context.processes.barrier()  # a next stage reads what rank 0 writes

    def _run_epochs(self) -> None:
        """The remaining epochs, each validated at its end."""
        epochs = self.job.settings.epochs
        while self.progress.epoch < epochs:
            title = f"{self.job.info.stage} epoch {self.progress.epoch + 1}/{epochs}"
            with self._console.progress(title, self._steps, done=self.progress.step) as advance:
                for _ in self._train_steps():
                    advance(1)
            self._require_finite()
            self._finish_epoch(self._timed_validation())

    def _train_steps(self) -> Iterator[None]:
        """The remaining steps of the epoch under way, yielding after each."""
        job, settings, progress = self.job, self.job.settings, self.progress
        order = self._order(progress.epoch, self._epoch_clips)
        while progress.step < self._steps:
            started = time.perf_counter()
            first = progress.step * settings.batch_clips
            chosen = order[first : first + settings.batch_clips]
            loss_sum, stop = self._step.take(chosen, progress, lr=self._learning_rate())
            if self._average is not None:
                self._average.update_parameters(job.model)
            progress.loss_sum += loss_sum
            progress.clips_seen += len(chosen)
            progress.step += 1
            progress.seconds += time.perf_counter() - started
            if stop:
                self._stop()
            if job.snapshot_minutes and time.monotonic() - self._saved_at > 60 * job.snapshot_minutes:
                self._require_finite()
                self._record.snapshot(self._snapshot())
                self._saved_at = time.monotonic()
            yield

    @property
    def _kept_model(self) -> nn.Module:
        """The model that is validated and kept: the trained one, or its moving average."""
        return self.job.model if self._average is None else self._average.module

    def _learning_rate(self) -> float:
        settings, progress = self.job.settings, self.progress
        return learning_rate(
            progress.epoch * self._steps + progress.step,
            total=settings.epochs * self._steps,
            warmup=round(settings.warmup_epochs * self._steps),
            peak=settings.lr,
            final=settings.lr * settings.final_lr_fraction,
        )

    def _timed_validation(self) -> Validation:
        started = time.perf_counter()
        found = self._validate()
        self.progress.seconds += time.perf_counter() - started
        return found

    @property
    def _validation_batch(self) -> int:
        """Windows of a validation batch in each process: as many as a piece of a training step has."""
        settings = self.job.settings
        return -(-settings.batch_clips // (self.job.context.processes.count * settings.accumulate))

    def _score_start(self) -> None:
        """Validate the weights this training starts from, as epoch 0; they never become its best."""
        job, progress = self.job, self.progress
        found = self._timed_validation()
        record = {"epoch": 0, **found.figures, "seconds": round(progress.seconds, 3)}
        progress.history.append(record)
        progress.start_unscored, progress.seconds = False, 0.0
        self._record.epoch(self._snapshot(), record, None)
        self._console.say(f"{job.info.stage} epoch 0, before the first step: {found.text}")

    def _finish_epoch(self, found: Validation) -> None:
        job, progress = self.job, self.progress
        record = {
            "epoch": progress.epoch + 1,
            "lr": self._step.learner.lr,
            "train_loss": progress.loss_sum / progress.clips_seen,
            **found.figures,
            "seconds": round(progress.seconds, 3),
        }
        progress.history.append(record)
        key = self._selection(record)
        best = key > progress.best
        if best:
            progress.best, progress.confusion = key, found.confusion
        progress.next_epoch()
        self._record.epoch(self._snapshot(), record, self._kept_model if best else None)
        self._saved_at = time.monotonic()
        self._console.say(
            f"{job.info.stage} epoch {record['epoch']}/{job.settings.epochs}: "
            f"loss {record['train_loss']:.3f}, {found.text}, {record['seconds']:.1f} s"
            f"{' (best)' if best else ''}"
        )

    @abstractmethod
    def _order(self, epoch: int, clips: int) -> NDArray[np.int64]:
        """(clips,) int64 indices of the training clips of an epoch, in order."""

    @abstractmethod
    def _validate(self) -> Validation:
        """Validate the kept model; calls :meth:`_stop_if_requested` equally often in every process."""

    @abstractmethod
    def _selection(self, record: Mapping[str, Any]) -> list[float]:
        """Return the score by which epochs are compared; the largest is the best."""

    def _stop_if_requested(self) -> None:
        """Stop all processes if any was requested to; called equally often in each."""
        if self.job.context.stop_requested():
            self._stop()

    def _require_finite(self) -> None:
        """Check the weights that are about to be validated or saved."""
        when = f"epoch {self.progress.epoch + 1}"
        require_finite_weights(self.job.model, when)
        if self._average is not None:
            require_finite_weights(self._kept_model, when)

    def _after_divergence(self) -> str:
        """Say what to change after a divergence, and what the run folder holds."""
        settings, stage = self.job.settings, self.job.info.stage
        change = f"lower {stage}.lr (now {settings.lr:g})"
        if not settings.clip_norm:
            change += f", or clip the gradients with {stage}.clip_norm=1 (now 0)"
        if not self.progress.best:
            return f"{change}, or check the clips; there are no weights of an earlier epoch to keep"
        trained = [record for record in self.progress.history if record["epoch"]]
        best = max(trained, key=self._selection)["epoch"]
        return (
            f"{change}, or check the clips; {self.job.folder} keeps the weights of epoch {best}, the best so "
            f"far, and --init {self.job.folder} begins from them"
        )

    def _too_large(self) -> str:
        """Say what to change where a step does not fit into memory."""
        settings, stage = self.job.settings, self.job.info.stage
        return (
            f"the memory of {self.job.context.device} is too small for {stage}.batch_clips="
            f"{settings.batch_clips} in {stage}.accumulate={settings.accumulate} parts; start the training "
            f"again with --set {stage}.accumulate={2 * settings.accumulate}, which takes the same steps in "
            "smaller parts, or with fewer clips"
        )

    def _stop(self) -> None:
        self._require_finite()
        self._record.snapshot(self._snapshot())
        self._record.last(self._kept_model)
        self.job.context.kept.text = (
            f"saved in epoch {self.progress.epoch + 1} after step {self.progress.step} of {self._steps}; "
            f"{how_to_resume(self.job.folder)}"
        )
        # torchrun ends all processes when the first one leaves, and rank 0 may still be writing.
        self.job.context.processes.barrier()
        raise KeyboardInterrupt

    def _snapshot(self) -> Snapshot:
        optimizer, scaler = self._step.learner.state_dict()
        return Snapshot(
            progress=self.progress,
            model=self.job.model.state_dict(),
            optimizer=optimizer,
            scaler=scaler,
            anchors={} if self._step.anchors is None else self._step.anchors.state_dict(),
            average={} if self._average is None else self._average.state_dict(),
        )


class StageTraining(Training):
    """Trains an image or a video stage on its labels."""

    job: Job

    def __init__(self, job: Job) -> None:
        super().__init__(job, BatchStep(job))

    def _order(self, epoch: int, clips: int) -> NDArray[np.int64]:
        job = self.job
        return epoch_order(
            job.train.clips.labels,
            job.sets.of_clips(job.train.clips.sources),
            seed=job.seed,
            epoch=epoch,
            balance=job.settings.balance,
            clips=clips,
        )

    def _validate(self) -> Validation:
        score = validate(
            cast(S2D, self._kept_model),
            self.job.val,
            self.job.context.processes,
            shares=self.job.sets.shares(self.job.train.clips.sources),
            batch_clips=self._validation_batch,
            after_batch=self._stop_if_requested,
        )
        return Validation(figures=_figures(score), text=_text(score), confusion=score.confusion.tolist())

    def _selection(self, record: Mapping[str, Any]) -> list[float]:
        figures = [record["val_war"], record["val_uar"]]
        return [*(figures if self.job.settings.select == "war" else figures[::-1]), -record["val_loss"]]


def _is_out_of_memory(error: RuntimeError) -> bool:
    """True for an allocation that failed; on a CPU only its text says so."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _figures(score: Score) -> dict[str, Any]:
    """A score as a record of ``metrics.jsonl`` has it; of several sets also each one's."""
    figures = {"val_loss": score.loss, "val_war": score.war, "val_uar": score.uar}
    if len(score.sets) == 1:
        return figures
    return figures | {"val_sets": {name: asdict(one) for name, one in score.sets.items()}}


def _text(score: Score) -> str:
    text = f"val loss {score.loss:.3f}, WAR {score.war:.3f}, UAR {score.uar:.3f}"
    if len(score.sets) == 1:
        return text
    each = (f"{name} {one.war:.3f} and {one.uar:.3f}" for name, one in score.sets.items())
    return f"{text} ({', '.join(each)})"
