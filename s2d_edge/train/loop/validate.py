"""Scoring of a model on validation clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from s2d_edge.core import metrics
from s2d_edge.model.s2d import S2D
from s2d_edge.train.loop.divergence import DivergenceError, listed
from s2d_edge.train.processes import Processes
from s2d_edge.train.supply.feed import Feed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """Score of a model on validation clips: rates as fractions, mean cross-entropy, confusion matrix."""

    war: float
    uar: float
    loss: float
    confusion: metrics.Counts


def validate(
    model: S2D, feed: Feed, processes: Processes, *, batch_clips: int, after_batch: Callable[[], None]
) -> Score:
    """Score ``model``; a clip's probabilities are the mean softmax over its windows, as in testing.

    The processes share the batches. Each window is predicted once, whatever their number.

    Args:
        batch_clips: windows per batch and process.
        after_batch: called equally often in every process, between batches; may raise to stop.

    Raises:
        DivergenceError: logits that are not finite; the message names the clips.
    """
    count, classes = len(feed.clips), model.config.classes
    summed = np.zeros((count, classes + 1))  # probabilities over windows, and in the last column how many
    model.eval()
    for batch in feed.validation_batches(batch_clips, first=processes.rank, step=processes.count):
        if batch is not None:
            moved = batch.to(processes.device)
            with torch.inference_mode():
                logits = model(moved.clip, moved.maps, moved.numbers).float()
                # The softmax of -inf is finite: NaN keeps what is wrong until all processes know it.
                predicted = torch.softmax(torch.where(logits.isfinite(), logits, torch.nan), dim=1)
            np.add.at(summed[:, :-1], batch.clips, predicted.double().cpu().numpy())
            np.add.at(summed[:, -1], batch.clips, 1)
        after_batch()
    summed = processes.all_reduce(torch.from_numpy(summed).to(processes.device)).cpu().numpy()
    assert np.array_equal(summed[:, -1], feed.clips.window_counts)
    wrong = np.flatnonzero(~np.isfinite(summed).all(axis=1))
    if len(wrong):
        names = listed([feed.clips.names[k] for k in wrong])
        raise DivergenceError(f"the logits are infinite or NaN for {len(wrong)} validation clips ({names})")
    probabilities = summed[:, :-1] / summed[:, -1:]
    truth = feed.clips.labels
    counts = metrics.confusion(truth, probabilities.argmax(axis=1), classes)
    likelihood = probabilities[np.arange(count), truth].clip(min=1e-12)
    return Score(
        war=metrics.war(counts),
        uar=metrics.uar(counts),
        loss=float(-np.log(likelihood).mean()),
        confusion=counts,
    )
