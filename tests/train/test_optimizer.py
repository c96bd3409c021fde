"""The optimizer's groups: who decays, and who learns how fast."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s2d_edge.model.s2d import S2D
from s2d_edge.train.loop.optimizer import make_optimizer
from s2d_edge.train.plan.settings import StageSettings
from tests.train.tiny import VIDEO


def _group_of(model: S2D, settings: StageSettings) -> dict[str, tuple[float, float]]:
    """Each trained parameter's share of the learning rate and its weight decay."""
    optimizer = make_optimizer(model, settings)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["lr_share"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_every_trained_parameter_is_in_one_group_and_only_matrices_decay() -> None:
    model = S2D(VIDEO)
    model.freeze_backbone()
    found = _group_of(model, StageSettings(weight_decay=0.1))
    assert set(found) == {name for name, each in model.named_parameters() if each.requires_grad}
    assert found["head.weight"] == (1.0, 0.1)
    for name in ("head.bias", "vit.norm.weight", "temporal_embedding"):
        assert found[name] == (1.0, 0.0)


def test_layers_nearer_the_input_learn_more_slowly() -> None:
    model = S2D(replace(VIDEO, temporal=None, frames=1))
    share = {name: each for name, (each, _) in _group_of(model, StageSettings(layer_decay=0.5)).items()}
    assert share["head.weight"] == share["vit.norm.weight"] == share["prompters.0.to_prompt.weight"] == 1.0
    assert share["vit.blocks.1.mlp.fc1.weight"] == 0.5
    assert share["vit.blocks.0.mlp.fc1.weight"] == 0.25
    assert share["vit.patch_embed.proj.weight"] == share["vit.pos_embed"] == pytest.approx(0.125)
