"""Every size of the model: its own values, gradients, exports for both runtimes, and the lint of these."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from s2d_edge.contracts.bundle import open_bundle
from s2d_edge.contracts.model_config import PRESETS, LandmarkConfig, S2DConfig, TemporalConfig, preset
from s2d_edge.core.console import Console
from s2d_edge.export.command import export_run
from s2d_edge.lint.check import lint_graph
from s2d_edge.model.s2d import S2D
from tests.models import random_clip, random_model, write_random_run

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

QUIET = Console(quiet=True)

# Parameters, and those that the video stage trains, of all but the landmark network; its width; patches; T.
TABLE = {
    "base": (95_055_571, 9_258_451, 64, 196, 16),
    "small": (24_082_387, 2_417_491, 64, 196, 16),
    "tiny": (6_179_923, 655_891, 64, 196, 16),
    "small-112": (23_861_203, 2_417_491, 64, 196, 16),
    "tiny-112": (6_069_331, 655_891, 64, 196, 16),
    "starter": (1_397_549, 157_869, 32, 196, 8),
    "starter-rgb": (1_397_549, 157_869, 32, 196, 8),
    "demo": (518_362, 104_122, 16, 49, 8),
}


def shallow(name: str, **changes: object) -> S2DConfig:
    """The preset with two blocks, two frames, and a landmark network of one block a stage.

    All blocks of a model have equal sizes, so the first and the last stand for the others.
    """
    config = preset(name)
    landmark = LandmarkConfig(width=config.landmark.width, depths=(1, 1, 1))
    small = replace(config, vit=replace(config.vit, depth=2), landmark=landmark, frames=2)
    return replace(small, **changes)  # type: ignore[arg-type]


def causal(name: str) -> S2DConfig:
    """The shallow preset with causal adapters."""
    temporal = preset(name).temporal
    assert temporal is not None
    return shallow(name, temporal=TemporalConfig(ratio=temporal.ratio, heads=temporal.heads, mode="causal"))


def without_gradient(model: S2D, config: S2DConfig) -> set[str]:
    """Names of trainable parameters that one step on a clip would not change."""
    model.train()
    clips = torch.cat((random_clip(config, 0), random_clip(config, 1)))
    F.cross_entropy(model(clips), torch.tensor([0, 1])).backward()
    learning = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return {name for name, gradient in learning.items() if gradient is None or not gradient.abs().max() > 0}


def test_the_table_names_every_preset() -> None:
    assert TABLE.keys() == PRESETS.keys()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_its_published_size(name: str) -> None:
    config = preset(name)
    with torch.device("meta"):
        model = S2D(config)
    model.freeze_backbone()
    count = model.count_parameters()
    sizes = (count.total, count.trainable, config.landmark.width, config.vit.grid**2, config.frames)
    assert sizes == TABLE[name]


@pytest.mark.parametrize("name", PRESETS)
def test_all_of_a_video_model_that_is_not_frozen_gets_gradients(name: str) -> None:
    for config in (shallow(name), causal(name)):
        model = random_model(config)
        model.freeze_backbone()
        assert without_gradient(model, config) == {"prompt_norms.1.weight", "prompt_norms.1.bias"}  # unused
        frozen = {name for name, p in model.named_parameters() if p.grad is None}
        assert {"vit.pos_embed", "vit.blocks.0.mlp.fc1.weight", "landmark.conv1.conv.weight"} <= frozen


@pytest.mark.parametrize("name", PRESETS)
def test_all_of_an_image_model_and_its_landmark_features_get_gradients(name: str) -> None:
    config = shallow(name).as_image()
    model = random_model(config)
    model.landmark.tune_features()
    assert without_gradient(model, config) == {"prompt_norms.1.weight", "prompt_norms.1.bias"}  # unused


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "mode"),
    [
        # The largest is written for both runtimes in test_base_size, and small ones in test_export.
        *((name, "intel-npu", "window") for name in ("base", "tiny-112", "starter-rgb", "demo")),
        *((name, "jetson", "window") for name in ("small", "small-112", "tiny", "starter")),
        ("starter", "intel-npu", "stream"),  # as it ships
    ],
)
def test_a_preset_exports_and_keeps_its_targets_rules(
    name: str, target: str, mode: str, tmp_path: Path, no_self_test: None
) -> None:
    config = causal(name) if mode == "stream" else shallow(name)
    write_random_run(tmp_path / "run", config)
    bundle = open_bundle(
        export_run(
            tmp_path / "run",
            target=target,
            mode=mode,
            parity_clips=1,
            out=tmp_path / "bundle",
            console=QUIET,
        )
    )
    assert bundle.manifest.parity.max_abs_logit_diff <= 1e-3
    assert [(spec.name, spec.shape) for spec in bundle.manifest.inputs[:1]] == [
        ("frame", (1, config.vit.image_size, config.vit.image_size, 3))
        if mode == "stream"
        else ("clip", (1, config.frames, config.vit.image_size, config.vit.image_size, 3))
    ]
    assert lint_graph(bundle.graph_path, bundle.manifest.target) == []
