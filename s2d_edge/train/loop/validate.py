"""Scoring of a model on validation clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from s2d_edge.contracts.evaluation import restricted
from s2d_edge.core import metrics
from s2d_edge.model.s2d import S2D
from s2d_edge.train.loop.divergence import DivergenceError, listed
from s2d_edge.train.processes import Processes
from s2d_edge.train.supply.feed import Feed


@dataclass(frozen=True, slots=True, kw_only=True)
class SetScore:
    """Score of a model on the validation clips of one set: rates as fractions, mean cross-entropy."""

    war: float
    uar: float
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """Score of a model on validation clips.

    Attributes:
        sets: of each set that has validation clips.
        war, uar, loss: the mean over the sets, each as much as it is drawn in training.
        confusion: of all clips, (K, K).
    """

    sets: dict[str, SetScore]
    war: float
    uar: float
    loss: float
    confusion: metrics.Counts


def validate(
    model: S2D,
    feed: Feed,
    processes: Processes,
    *,
    shares: Mapping[str, float],
    batch_clips: int,
    after_batch: Callable[[], None],
) -> Score:
    """Score ``model``; a clip's probabilities are the mean softmax over its windows, as in testing.

    Only labels that a clip's set knows are predicted. The processes share the batches. Each window is
    predicted once, whatever their number.

    Args:
        shares: names of the sets in their order, and how much each counts.
        batch_clips: windows per batch and process.
        after_batch: called equally often in every process, between batches; may raise to stop.

    Raises:
        DivergenceError: logits that are not finite; the message names the clips.
    """
    clips, classes = feed.clips, model.config.classes
    summed = np.zeros((len(clips), classes + 1))  # summed over windows; in the last column how many
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
    assert np.array_equal(summed[:, -1], clips.window_counts)
    wrong = np.flatnonzero(~np.isfinite(summed).all(axis=1))
    if len(wrong):
        names = listed([clips.names[k] for k in wrong])
        raise DivergenceError(f"the logits are infinite or NaN for {len(wrong)} validation clips ({names})")
    probabilities = restricted(summed[:, :-1] / summed[:, -1:], feed.target.known.numpy())
    return _score(probabilities, clips.labels, clips.sources, shares)


def _score(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.int64],
    sources: NDArray[np.int64],
    shares: Mapping[str, float],
) -> Score:
    """Score probabilities (n, K) set by set, and all together."""
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    losses = -np.log(probabilities[np.arange(len(truth)), truth].clip(min=1e-12))
    sets, weights = {}, []
    for number, (name, share) in enumerate(shares.items()):
        mine = sources == number
        if mine.any():  # unless all its clips are unreadable
            counts = metrics.confusion(truth[mine], predicted[mine], classes)
            loss = float(losses[mine].mean())
            sets[name] = SetScore(war=metrics.war(counts), uar=metrics.uar(counts), loss=loss)
            weights.append(share)

    def mean(figures: Iterable[float]) -> float:
        return sum(weight * figure for weight, figure in zip(weights, figures, strict=True)) / sum(weights)

    return Score(
        sets=sets,
        war=mean(one.war for one in sets.values()),
        uar=mean(one.uar for one in sets.values()),
        loss=mean(one.loss for one in sets.values()),
        confusion=metrics.confusion(truth, predicted, classes),
    )
