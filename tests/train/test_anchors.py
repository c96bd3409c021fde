"""Self-distillation: soft targets and queues as the official code has them, and what ours add."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from s2d_edge.core.errors import ConfigError
from s2d_edge.train.loop.anchors import EmotionAnchors
from s2d_edge.train.plan.settings import SdlSettings


def _all_known(logits: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(logits, dtype=torch.bool)


def test_targets_and_queues_are_the_official_ones(shared_data: Path) -> None:
    with np.load(shared_data / "parity/sdl_expected.npz") as stored:
        wanted = {name: torch.from_numpy(stored[name]) for name in stored.files}
    classes, queue, width = wanted["anchors"].shape
    anchors = EmotionAnchors(classes, width, SdlSettings(queue=queue, top_k=int(wanted["top_k"])))
    anchors.features.copy_(wanted["anchors"])
    anchors.probabilities.copy_(wanted["anchor_probabilities"])
    anchors.filled.fill_(queue)
    targets = anchors.soft_targets(wanted["features"])
    torch.testing.assert_close(targets, wanted["soft_targets"], atol=1e-6, rtol=0)
    anchors.remember(wanted["features"], wanted["logits"], wanted["labels"], _all_known(wanted["logits"]))
    torch.testing.assert_close(anchors.features, wanted["anchors_after_update"], atol=1e-6, rtol=0)
    torch.testing.assert_close(
        anchors.probabilities, wanted["anchor_probabilities_after_update"], atol=1e-6, rtol=0
    )


def test_empty_slots_have_no_share_in_the_targets() -> None:
    anchors = EmotionAnchors(3, 4, SdlSettings(queue=2, top_k=2))
    features = torch.eye(4)[:1]
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    assert anchors.soft_targets(features).sum() == 0
    assert anchors.losses(logits, features, _all_known(logits)).tolist() == [0]
    anchors.remember(features, logits, torch.tensor([1]), _all_known(logits))
    assert anchors.filled.tolist() == [0, 1, 0]
    # One anchor alone gives the whole target, however far away the empty ones would be.
    near = features + 0.3 * torch.ones(1, 4)
    torch.testing.assert_close(anchors.soft_targets(near), torch.softmax(logits, dim=1))


def test_a_queue_keeps_the_newest_in_order() -> None:
    anchors = EmotionAnchors(2, 1, SdlSettings(queue=3, top_k=1))
    seen = torch.arange(1.0, 6.0)[:, None]
    anchors.remember(seen[:1], torch.zeros(1, 2), torch.tensor([0]), _all_known(torch.zeros(1, 2)))
    anchors.remember(seen[1:], torch.zeros(4, 2), torch.tensor([0, 1, 0, 0]), _all_known(torch.zeros(4, 2)))
    assert anchors.features[0].flatten().tolist() == [2, 4, 5]
    assert anchors.features[1].flatten().tolist() == [0, 0, 3]
    assert anchors.filled.tolist() == [3, 1]


def test_the_weight_follows_the_published_schedule() -> None:
    settings = SdlSettings(weight=1.0)
    weights = {epoch: settings.weight_at(epoch, 100) for epoch in (0, 29, 30, 50, 60, 79, 80, 99)}
    assert weights == {0: 0, 29: 0, 30: 0.01, 50: 0.1, 60: 0.5, 79: 0.5, 80: 1.0, 99: 1.0}
    assert SdlSettings().weight_at(99, 100) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"top_k": 17}, {"weight": -1.0}, {"starts": (0.5, 0.2), "shares": (0.1, 1.0)}, {"shares": (1.0,)}],
)
def test_settings_check_themselves(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"sdl\."):
        SdlSettings(**wrong)  # type: ignore[arg-type]
