"""Scoring a model on validation clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from s2d_edge import metrics
from s2d_edge.model.s2d import S2D
from s2d_edge.train.feed import Feed


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How a model did on validation clips; fractions, and mean cross-entropy."""

    war: float
    uar: float
    loss: float


def validate(
    model: S2D, feed: Feed, device: torch.device, *, batch_clips: int, after_batch: Callable[[], None]
) -> Score:
    """Score ``model``; a clip's answer is the mean softmax over its windows, as in testing.

    Args:
        after_batch: called between batches; may raise to stop.
    """
    count, classes = len(feed.clips), model.config.classes
    probabilities = np.zeros((count, classes))
    model.eval()
    for batch in feed.validation_batches(batch_clips):
        moved = batch.to(device)
        with torch.inference_mode():
            answer = torch.softmax(model(moved.clip, moved.maps).float(), dim=1)
        np.add.at(probabilities, batch.clips, answer.double().cpu().numpy())
        after_batch()
    probabilities /= feed.clips.window_counts[:, None]
    truth = feed.clips.labels
    counts = metrics.confusion(truth, probabilities.argmax(axis=1), classes)
    likelihood = probabilities[np.arange(count), truth].clip(min=1e-12)
    return Score(war=metrics.war(counts), uar=metrics.uar(counts), loss=float(-np.log(likelihood).mean()))
