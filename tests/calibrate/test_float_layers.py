"""Layers that every recipe keeps in floating point: equal in both formats, and while fine-tuning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from s2d_edge.calibrate.graphs.int8_macs import layers_of
from s2d_edge.calibrate.graphs.modules import module_of
from s2d_edge.calibrate.quantize import float_layers
from s2d_edge.calibrate.quantize.float_layers import affordable_landmark, layers_in_float, quantized_anyway
from s2d_edge.calibrate.quantize.recipe import Int8Landmark, Recipe, recipe_for
from s2d_edge.contracts.bundle import Bundle, Mode, Target
from s2d_edge.contracts.model_config import preset
from s2d_edge.export.command import WRITERS, graph_of
from s2d_edge.export.fuse import FusedS2D
from s2d_edge.export.targets import GRAPH_FILES, GraphFormat
from s2d_edge.qat import fake_quantize
from tests.models import CAUSAL, TINY, random_clip, random_model
from tests.shared import Shared

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

DEPTHWISE = 5  # of the tiny landmark network, before the feature map: conv2_dw and four bottlenecks'
POINTWISE = {"all": 0, "chains": 2 * 2, "none": 4 * 2}  # of two strided and two residual bottlenecks


def recipes(target: Target, graph: str, mode: Mode = "window") -> list[Recipe]:
    return [recipe_for(target, graph, mode, landmark) for landmark in get_args(Int8Landmark)]


@pytest.fixture(scope="module", params=[("jetson", "window"), ("intel-cpu", "window"), ("jetson", "stream")])
def exported(request: pytest.FixtureRequest, shared: Shared) -> Bundle:
    target, mode = request.param
    return shared.exported(target, mode, CAUSAL if mode == "stream" else TINY)


def test_head_first_and_depthwise_convolutions_stay_in_float_and_the_landmark_layers_of_the_recipe(
    exported: Bundle,
) -> None:
    graph, manifest = exported.graph_path, exported.manifest
    for recipe in recipes(manifest.target, manifest.graph, manifest.mode):
        kept = layers_in_float(graph, recipe)
        assert len(kept) == len(set(kept)) == 1 + 1 + DEPTHWISE + POINTWISE[recipe.int8_landmark]
        kinds = [module_of(name).removeprefix("parts.").split(".")[0] for name in kept]
        assert kinds.count("head") == 1
        assert kinds.count("landmark") == len(kept) - 1


def test_the_landmark_network_stays_in_float_up_to_five_percent_of_the_macs(
    exported: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = exported.graph_path
    layers = list(layers_of(graph))
    strided = sum(
        layer.macs
        for layer in layers
        if any(part in module_of(layer.name) for part in ("head", ".conv1.", ".conv_23.", ".conv_34."))
    )
    share = strided / sum(layer.macs for layer in layers)
    assert affordable_landmark(graph) == "all"  # of a tiny model
    for affordable, landmark in ((share - 1e-6, "all"), (share + 1e-6, "chains"), (1.0, "none")):
        monkeypatch.setattr(float_layers, "_CHEAP", affordable)
        assert affordable_landmark(graph) == landmark


@pytest.mark.parametrize("anyway", [0, 2, 1 + DEPTHWISE])
def test_fine_tuning_keeps_the_same_number_of_layers_in_float(anyway: int) -> None:
    fused, clip = FusedS2D(random_model(TINY)), random_clip(TINY)
    for recipe in recipes("intel-cpu", "model.xml"):
        names = fake_quantize.layers_in_float(fused, replace(recipe, quantized_anyway=anyway), clip)
        assert len(set(names)) == 1 + 1 + DEPTHWISE - anyway + POINTWISE[recipe.int8_landmark]
        assert all(not name.startswith(("patch/", "fc1/", "look/")) for name in names)


@pytest.mark.slow(seconds=3)
@pytest.mark.parametrize("form", ["openvino", "onnx"])
def test_enough_of_the_smallest_models_can_be_int8(tmp_path: Path, form: GraphFormat) -> None:
    """The demo's image stage, of which the layers kept in floating point are 11 %."""
    graph = tmp_path / GRAPH_FILES[form]
    WRITERS[form](graph_of(random_model(preset("demo").as_image()), "window", form), graph)
    layers = {layer.name: layer for layer in layers_of(graph)}
    total = sum(layer.macs for layer in layers.values())

    def float_share(recipe: Recipe) -> float:
        return sum(layers[name].macs for name in layers_in_float(graph, recipe)) / total

    landmark = affordable_landmark(graph)
    usual = recipe_for("cpu", graph.name, "window", landmark)
    count = quantized_anyway(graph, landmark)
    assert float_share(usual) > 0.1 >= float_share(replace(usual, quantized_anyway=count))
    assert float_share(replace(usual, quantized_anyway=count - 1)) > 0.1  # no more than is needed
    kept = layers_in_float(graph, replace(usual, quantized_anyway=count))
    assert any("conv1" in module_of(name) for name in kept)
    assert any(layers[name].depthwise for name in kept)
    assert "quantized_anyway" not in usual.as_record()
    assert replace(usual, quantized_anyway=count).as_record()["quantized_anyway"] == count


def test_no_layer_is_quantized_that_need_not_be(exported: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(float_layers, "LEAST_FRACTION", 0.0)
    assert quantized_anyway(exported.graph_path, "all") == 0
    monkeypatch.setattr(float_layers, "LEAST_FRACTION", 1.0)
    assert quantized_anyway(exported.graph_path, "all") == 1 + DEPTHWISE
