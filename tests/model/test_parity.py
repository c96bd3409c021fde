"""Parity with the official code, and the paper's parameter counts."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch

from s2d_edge.contracts.model_config import preset
from s2d_edge.model.checkpoint import read_landmark
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.model.official import import_official
from s2d_edge.model.s2d import S2D

_LABELS = tuple("abcdefg")
_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def official(shared_data: Path) -> S2D:
    return import_official(
        shared_data / "parity/s2d_small_official.pth",
        shared_data / "landmark/mobilefacenet_300w.pth",
        _LABELS,
        heads=4,
    ).model


@pytest.fixture(scope="module")
def expected(shared_data: Path) -> dict[str, torch.Tensor]:
    with np.load(shared_data / "parity/s2d_small_expected.npz") as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


def test_landmark_network_agrees_with_the_official_one(
    official: S2D, expected: dict[str, torch.Tensor]
) -> None:
    with torch.inference_mode():
        pictures = official.landmark.resize(official.normalise(expected["clip"][None]))
        features = official.landmark.features(pictures)
        points = official.landmark(pictures).flatten(1)
    torch.testing.assert_close(features, expected["landmark_features"], atol=_TOLERANCE, rtol=0)
    torch.testing.assert_close(points, expected["landmarks"], atol=_TOLERANCE, rtol=0)


def test_features_and_logits_agree_with_the_official_code(
    official: S2D, expected: dict[str, torch.Tensor]
) -> None:
    with torch.inference_mode():
        features = official.features(expected["clip"][None])
        logits = official(expected["clip"][None])
    torch.testing.assert_close(features, expected["features"], atol=_TOLERANCE, rtol=0)
    torch.testing.assert_close(logits, expected["logits"], atol=_TOLERANCE, rtol=0)


@pytest.mark.slow(seconds=2)
def test_base_has_the_papers_parameter_counts() -> None:
    model = S2D(preset("base"))
    model.freeze_backbone()
    count = model.count_parameters()
    assert round(count.total / 1e6, 2) == 95.06
    assert round(count.trainable / 1e6, 2) == 9.26
    assert "95.06 M parameters, 9.26 M trainable (9.7 %)" in str(count)


@pytest.mark.slow(seconds=2)
def test_base_has_just_the_parameters_of_the_official_checkpoint(shared_data: Path) -> None:
    shapes = json.loads((shared_data / "parity/s2d_base_official_keys.json").read_text())
    assert S2D(preset("base")).count_parameters().total == sum(prod(shape) for shape in shapes.values())


def test_official_landmark_files_sizes_come_from_its_shapes(shared_data: Path) -> None:
    config, tensors = read_landmark(shared_data / "landmark/mobilefacenet_300w.pth")
    assert (config.width, config.depths, config.points) == (64, (4, 6, 2), 68)
    assert "conv1.conv.weight" in tensors


def test_landmark_network_never_leaves_evaluation_mode() -> None:
    model = S2D(preset("demo")).train()
    assert model.training
    assert isinstance(model.landmark, MobileFaceNet)
    assert not any(module.training for module in model.landmark.modules())
    assert not any(parameter.requires_grad for parameter in model.landmark.parameters())
