"""One optimisation step on a batch that several processes may share."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2d_edge.train.loop.anchors import EmotionAnchors
from s2d_edge.train.loop.divergence import DivergenceError, listed
from s2d_edge.train.loop.job import Job
from s2d_edge.train.loop.learner import Learner
from s2d_edge.train.record.progress import Progress
from s2d_edge.train.supply.feed import Batch
from s2d_edge.train.supply.target import cross_entropy

_ANY = np.zeros(1, dtype=np.int64)  # a clip of the batch


class BatchStep:
    """Takes the steps of one stage.

    Every process takes the same steps, each on its share of the batch, in ``accumulate`` pieces. Together
    they take the step that one alone would take on the whole batch, but for the masks of dropout.

    Attributes:
        learner: the model with its optimizer.
        anchors: of the self-distillation, the same in all processes.
    """

    def __init__(self, job: Job) -> None:
        config = job.model.config
        self.learner = Learner(job.model, job.settings, job.context.processes, amp=job.amp)
        self.anchors = EmotionAnchors(config.classes, config.vit.width, job.settings.sdl)
        self.anchors.to(job.context.device)
        self._job = job

    def take(self, chosen: NDArray[np.int64], progress: Progress, *, lr: float) -> tuple[float, bool]:
        """Take one step on the clips ``chosen``, the batch of all processes together.

        Args:
            progress: where the training stands.

        Returns:
            The sum of the clips' losses, and True if any process was requested to stop.

        Raises:
            DivergenceError: the loss is not finite.
        """
        job, settings, processes = self._job, self._job.settings, self._job.context.processes
        sizes = job.model.config.vit.width, job.model.config.classes
        share = processes.share(len(chosen))
        pieces = [piece for piece in np.array_split(share, settings.accumulate) if len(piece)]
        counts = bool(pieces)  # a process without a clip of its own takes part with any, at weight 0
        seed = _step_seed(job.seed, progress.epoch, progress.step)
        torch.manual_seed(seed + processes.rank)  # dropout
        loss_sum = torch.zeros((), device=processes.device)
        outputs = torch.zeros(len(chosen), sum(sizes), device=processes.device)
        job.model.train()
        for number, piece in enumerate(pieces or [_ANY], start=1):
            generator = torch.Generator().manual_seed(seed)  # each piece draws what the whole batch would
            batch = job.train.training_batch(chosen, settings.augment, generator, piece).to(processes.device)
            with self.learner.piece(last=number >= len(pieces)):
                features, logits = self.learner.forward(batch.clip, batch.maps, batch.numbers)
                losses = self._losses(features, logits, batch, progress.epoch)
                # Gradients are averaged over processes; the result must be that of the mean over clips.
                loss = losses.sum() / (len(chosen) / processes.count)
                self.learner.backward(loss if counts else 0.0 * loss)
            if counts:
                loss_sum += losses.detach().sum()
                outputs[piece] = torch.cat((features, logits), dim=1).detach()
        sums = processes.all_reduce(torch.stack((loss_sum, job.context.request())).double())
        total, stop = map(float, sums)
        if not np.isfinite(total):
            raise self._not_finite(
                float(loss_sum), [job.train.clips.names[i] for i in chosen[share]], progress
            )
        self.learner.step(lr)
        if settings.sdl.weight and batch.blend is None:
            features, logits = processes.all_reduce(outputs).split(sizes, dim=1)
            labels = torch.from_numpy(job.train.clips.labels[chosen]).to(processes.device)
            known = job.train.target.of(chosen).known.to(processes.device)
            self.anchors.remember(features, logits, labels, known)
        return total, stop > 0

    def _losses(self, features: Tensor, logits: Tensor, batch: Batch, epoch: int) -> Tensor:
        """(B,) loss of each clip: its label's, and a teacher's and the anchors' where there are some."""
        job, settings = self._job, self._job.settings
        losses = _target_losses(logits, batch, settings.label_smoothing)
        if job.teacher is not None and settings.distill:
            with self.learner.autocast():
                distilled = job.teacher.losses(logits, batch, settings.temperature)
            losses = losses + settings.distill * distilled
        if sdl_weight := settings.sdl.weight_at(epoch, settings.epochs):
            losses = losses + sdl_weight * self.anchors.losses(logits, features, batch.target.known)
        return losses

    def _not_finite(self, loss_sum: float, names: list[str], progress: Progress) -> DivergenceError:
        """Make one error for all processes: with the ``names`` of the first whose loss is not finite."""
        processes = self._job.context.processes
        message = (
            f"the loss became {loss_sum} in epoch {progress.epoch + 1}, step {progress.step + 1} on "
            f"{listed(names)}"
        )
        failed = torch.zeros(processes.count, device=processes.device)
        failed[processes.rank] = not np.isfinite(loss_sum)
        return DivergenceError(processes.broadcast(message, int(processes.all_reduce(failed).argmax())))


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
