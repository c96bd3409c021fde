"""Emotion-anchor self-distillation (SDL, arXiv 2312.05447): soft targets from similar earlier clips."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2d_edge.train.plan.settings import SdlSettings


class EmotionAnchors(nn.Module):
    """First-in-first-out queues, one per class, of features and probabilities of clips with that label.

    Unlike the official queues, which start as random vectors, these start empty, and empty slots are
    ignored. Their content is part of a training's snapshot.
    """

    features: Tensor
    probabilities: Tensor
    filled: Tensor

    def __init__(self, classes: int, width: int, settings: SdlSettings) -> None:
        super().__init__()
        self.top_k = settings.top_k
        self.features = nn.Buffer(torch.zeros(classes, settings.queue, width))  # oldest first
        self.probabilities = nn.Buffer(torch.zeros(classes, settings.queue, classes))
        self.filled = nn.Buffer(torch.zeros(classes, dtype=torch.long))  # at the queue's end

    @torch.no_grad()
    def soft_targets(self, features: Tensor) -> Tensor:
        """Mean of the probabilities of the K nearest anchors of every class, weighted by their cosine.

        Anchors with a cosine below 0 are ignored, so the targets stay probabilities.

        Args:
            features: (B, D).

        Returns:
            (B, K) rows that sum to 1, or to 0 where all anchors are ignored.
        """
        classes, queue, _ = self.features.shape
        anchors = F.normalize(self.features.float(), dim=2).flatten(0, 1)  # (K · Q, D)
        cosine = (F.normalize(features.float(), dim=1) @ anchors.T).unflatten(
            1, (classes, queue)
        )  # (B, K, Q)
        slots = torch.arange(queue, device=cosine.device)
        empty = slots < queue - self.filled[:, None]  # (K, Q)
        nearest, which = cosine.masked_fill(empty, -1.0).topk(self.top_k, dim=2)  # (B, K, k)
        weights = nearest.clamp(min=0)
        anchored = self.probabilities[
            torch.arange(classes, device=which.device)[:, None], which
        ]  # (B, K, k, K)
        total = weights.sum(dim=(1, 2)).clamp(min=torch.finfo(weights.dtype).tiny)
        targets: Tensor = (weights.unsqueeze(3) * anchored).sum(dim=(1, 2)) / total[:, None]
        return targets

    def losses(self, logits: Tensor, features: Tensor, known: Tensor) -> Tensor:
        """Binary cross-entropy of the logits against the soft targets; 0 for a clip without a target.

        Args:
            logits: (B, K).
            features: (B, D), the head's input without dropout.
            known: (B, K) bool, the labels that each clip's set knows; the others do not count.

        Returns:
            (B,), each the mean over the known classes.
        """
        targets = self.soft_targets(features).masked_fill(~known, 0.0)
        total = targets.sum(dim=1, keepdim=True)  # 1, or what the known labels have of it
        has_target = total[:, 0] > torch.finfo(total.dtype).eps
        targets = targets / total.clamp(min=torch.finfo(total.dtype).eps)
        each = F.binary_cross_entropy_with_logits(
            logits.float(), targets.clamp(max=1.0), reduction="none"
        ).masked_fill(~known, 0.0)
        return torch.where(has_target, each.sum(dim=1) / known.sum(dim=1), 0.0)

    @torch.no_grad()
    def remember(self, features: Tensor, logits: Tensor, labels: Tensor, known: Tensor) -> None:
        """Push clips, in order, onto the queues of their true labels; the oldest anchors fall out.

        Args:
            features: (B, D).
            logits: (B, K).
            labels: (B,) int64.
            known: (B, K) bool, as :meth:`losses` takes it.
        """
        probabilities = torch.softmax(logits.float().masked_fill(~known, -torch.inf), dim=1)
        for label in labels.unique():
            mine = labels == label
            for kept, new in ((self.features, features.float()), (self.probabilities, probabilities)):
                kept[label] = torch.cat((kept[label], new[mine]))[-kept.shape[1] :]
            self.filled[label] = (self.filled[label] + mine.sum()).clamp(max=self.features.shape[1])
