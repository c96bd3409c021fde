"""One optimisation step on a batch that several processes may share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2d_edge.train.loop.anchors import EmotionAnchors
from s2d_edge.train.loop.divergence import DivergenceError, listed
from s2d_edge.train.loop.job import Job, LoopJob
from s2d_edge.train.loop.learner import Learner, ModuleLearner
from s2d_edge.train.record.progress import Progress
from s2d_edge.train.supply.feed import Batch, Feed
from s2d_edge.train.supply.target import cross_entropy

_ANY = np.zeros(1, dtype=np.int64)  # a clip of the batch


class Step(ABC):
    """Takes the steps of one stage.

    Every process takes the same steps, each on its share of the batch, in ``accumulate`` pieces. Together
    they take the step that one alone would take on the whole batch, but for the masks of dropout.

    Attributes:
        learner: the model with its optimizer.
        anchors: of the self-distillation, the same in all processes; None without it.
    """

    learner: ModuleLearner
    anchors: EmotionAnchors | None = None

    def __init__(self, job: LoopJob) -> None:
        self._loop_job = job

    def take(self, chosen: NDArray[np.int64], progress: Progress, *, lr: float) -> tuple[float, bool]:
        """Take one step on the clips ``chosen``, the batch of all processes together.

        Args:
            progress: where the training stands.

        Returns:
            The sum of the clips' losses, and True if any process was requested to stop.

        Raises:
            DivergenceError: the loss is not finite.
        """
        job, settings, processes = self._loop_job, self._loop_job.settings, self._loop_job.context.processes
        share = processes.share(len(chosen))
        pieces = [piece for piece in np.array_split(share, settings.accumulate) if len(piece)]
        counts = bool(pieces)  # a process without a clip of its own takes part with any, at weight 0
        seed = _step_seed(job.seed, progress.epoch, progress.step)
        torch.manual_seed(seed + processes.rank)  # dropout
        loss_sum = torch.zeros((), device=processes.device)
        job.model.train()
        for number, piece in enumerate(pieces or [_ANY], start=1):
            with self.learner.piece(last=number >= len(pieces)):
                losses = self._losses_of(chosen, seed, piece, progress.epoch, kept=counts)
                # Gradients are averaged over processes; the result must be that of the mean over clips.
                loss = losses.sum() / (len(chosen) / processes.count)
                self.learner.backward(loss if counts else 0.0 * loss)
            if counts:
                loss_sum += losses.detach().sum()
        sums = processes.all_reduce(torch.stack((loss_sum, job.context.request())).double())
        total, stop = map(float, sums)
        if not np.isfinite(total):
            raise self._not_finite(
                float(loss_sum), [job.train.clips.names[i] for i in chosen[share]], progress
            )
        self.learner.step(lr)
        self._finish(chosen)
        return total, stop > 0

    @abstractmethod
    def _losses_of(
        self, chosen: NDArray[np.int64], seed: int, piece: NDArray[np.int64], epoch: int, *, kept: bool
    ) -> Tensor:
        """(b,) losses of a piece of the batch ``chosen``; ``seed`` makes every draw of the whole batch.

        Args:
            kept: False where the piece only keeps a process company.
        """

    @abstractmethod
    def _finish(self, chosen: NDArray[np.int64]) -> None:
        """Use what the pieces of a batch have left, once its step is taken."""

    def _not_finite(self, loss_sum: float, names: list[str], progress: Progress) -> DivergenceError:
        """Make one error for all processes: with the ``names`` of the first whose loss is not finite."""
        processes = self._loop_job.context.processes
        message = (
            f"the loss became {loss_sum} in epoch {progress.epoch + 1}, step {progress.step + 1} on "
            f"{listed(names)}"
        )
        failed = torch.zeros(processes.count, device=processes.device)
        failed[processes.rank] = not np.isfinite(loss_sum)
        return DivergenceError(processes.broadcast(message, int(processes.all_reduce(failed).argmax())))


class BatchStep(Step):
    """Takes the steps of an image or a video stage."""

    learner: Learner

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        config = job.model.config
        self.learner = Learner(job.model, job.settings, job.context.processes, amp=job.amp)
        self._sizes = config.vit.width, config.classes
        if job.settings.sdl.weight:
            self.anchors = EmotionAnchors(*self._sizes[::-1], job.settings.sdl).to(job.context.device)
        self._outputs: list[tuple[NDArray[np.int64], Tensor]] = []  # of the batch's pieces
        self._mixed = False
        self._job = job

    def _losses_of(
        self, chosen: NDArray[np.int64], seed: int, piece: NDArray[np.int64], epoch: int, *, kept: bool
    ) -> Tensor:
        view = partial(self._batch, chosen=chosen, seed=seed, piece=piece)
        batch = view(self._job.train)
        features, logits = self.learner.forward(batch.clip, batch.maps, batch.numbers)
        if kept:
            self._outputs.append((piece, torch.cat((features, logits), dim=1).detach()))
        self._mixed = batch.blend is not None
        return self._losses(features, logits, batch, view, epoch)

    def _finish(self, chosen: NDArray[np.int64]) -> None:
        outputs, self._outputs = self._outputs, []
        if self.anchors is None or self._mixed:
            return
        processes = self._job.context.processes
        whole = torch.zeros(len(chosen), sum(self._sizes), device=processes.device)
        for piece, output in outputs:
            whole[piece] = output
        features, logits = processes.all_reduce(whole).split(self._sizes, dim=1)
        labels = torch.from_numpy(self._job.train.clips.labels[chosen]).to(processes.device)
        known = self._job.train.target.of(chosen).known.to(processes.device)
        self.anchors.remember(features, logits, labels, known)

    def _batch(self, feed: Feed, *, chosen: NDArray[np.int64], seed: int, piece: NDArray[np.int64]) -> Batch:
        """A piece of the batch on the device, with the draws that the whole batch would have."""
        generator = torch.Generator().manual_seed(seed)
        batch = feed.training_batch(chosen, self._job.settings.augment, generator, piece)
        return batch.to(self._job.context.device)

    def _losses(
        self,
        features: Tensor,
        logits: Tensor,
        batch: Batch,
        view: Callable[[Feed], Batch],
        epoch: int,
    ) -> Tensor:
        """(B,) loss of each clip: its label's, and the teachers' and the anchors' where there are some."""
        job, settings = self._job, self._job.settings
        losses = _target_losses(logits, batch, settings.label_smoothing)
        if job.lessons is not None:
            with self.learner.autocast():
                distilled = job.lessons.losses(logits, batch, view, settings.temperature)
            losses = losses + settings.distill * distilled
        sdl_weight = settings.sdl.weight_at(epoch, settings.epochs)
        if self.anchors is not None and sdl_weight:
            losses = losses + sdl_weight * self.anchors.losses(logits, features, batch.target.known)
        return losses


def _target_losses(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    """(B,) cross-entropy of (B, K) logits; a mixed clip also has its partner's target, by their shares."""
    own = cross_entropy(logits, batch.target, smoothing)  # (B,)
    if batch.blend is None:
        return own
    other = cross_entropy(logits, batch.blend.target, smoothing)
    return torch.lerp(other, own, batch.blend.share.to(own))


def _step_seed(seed: int, epoch: int, step: int) -> int:
    """Seed of one step; a resumed training draws the numbers of an uninterrupted one."""
    return int(np.random.SeedSequence((seed, epoch, step)).generate_state(1, np.uint32)[0])
