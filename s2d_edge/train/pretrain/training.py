"""The epochs of a pre-training, each with its validation loss and a picture of reconstructions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from s2d_edge.model.mae import MaskedAutoencoder, draw_visible
from s2d_edge.train.loop.divergence import DivergenceError
from s2d_edge.train.loop.loop import Training, Validation
from s2d_edge.train.loop.order import epoch_order
from s2d_edge.train.pretrain.reconstructions import draw_reconstructions, picture_name
from s2d_edge.train.pretrain.step import MaskedStep, PretrainJob

_MASK_SEED = 0  # validation masks the same patches in every epoch and training
_SHOWN = 6  # pictures


class Pretraining(Training):
    """Trains a masked autoencoder; the epoch of the lowest validation loss is the best."""

    job: PretrainJob

    def __init__(self, job: PretrainJob) -> None:
        super().__init__(job, MaskedStep(job))
        windows, patches = len(job.val.clips.windows), job.model.config.vit.grid**2
        generator = torch.Generator().manual_seed(_MASK_SEED)
        self._visible = draw_visible(windows, patches, job.settings.masked.ratio, generator)  # (W, V)

    def _order(self, epoch: int, clips: int) -> NDArray[np.int64]:
        prepared = self.job.train.clips
        weights = self.job.sets.of_clips(prepared.sources)
        return epoch_order(prepared.labels, weights, seed=self.job.seed, epoch=epoch, clips=clips)

    def _validate(self) -> Validation:
        processes, size = self.job.context.processes, self._validation_batch
        model = cast(MaskedAutoencoder, self._kept_model).eval()
        summed = torch.zeros(2, dtype=torch.float64)  # of the losses, and how many
        batches = self.job.val.validation_batches(size, first=processes.rank, step=processes.count)
        for number, batch in enumerate(batches):
            if batch is not None:
                start = (number * processes.count + processes.rank) * size
                visible = self._visible[start : start + size].to(processes.device)
                pictures = batch.clip[:, 0].to(processes.device)
                with torch.inference_mode():
                    losses = model.losses(model(pictures, visible), pictures, visible)
                summed += torch.tensor([float(losses.sum()), len(losses)], dtype=torch.float64)
            self._stop_if_requested()
        total, count = processes.all_reduce(summed.to(processes.device)).tolist()
        loss = total / count
        if not np.isfinite(loss):
            raise DivergenceError(f"the validation loss became {loss}")
        return Validation(figures={"val_loss": loss}, text=f"val loss {loss:.4f}")

    def _selection(self, record: Mapping[str, Any]) -> list[float]:
        return [-record["val_loss"]]

    def _finish_epoch(self, found: Validation) -> None:
        shown = np.linspace(0, len(self._visible) - 1, _SHOWN).round().astype(np.int64)
        self._record.picture(
            picture_name(self.progress.epoch + 1),
            lambda path: draw_reconstructions(
                cast(MaskedAutoencoder, self._kept_model), self.job.val, self._visible, shown, path
            ),
        )
        super()._finish_epoch(found)
