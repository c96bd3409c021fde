"""Measure the cost of single layers: the joined graph equals both graphs, and a damaged layer is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from s2d_edge.calibrate.graphs import sensitivity
from s2d_edge.calibrate.graphs.int8_macs import layers_of
from s2d_edge.calibrate.graphs.modules import module_of
from s2d_edge.calibrate.graphs.sensitivity import (
    Switched,
    affordable_clips,
    group_of,
    layer_sensitivity,
    quantized_groups,
)
from s2d_edge.calibrate.quantize.onnx_graph import quantize_onnx
from s2d_edge.calibrate.quantize.openvino_graph import quantize_openvino
from s2d_edge.calibrate.quantize.recipe import recipe_for
from s2d_edge.contracts.bundle import Bundle, Mode
from s2d_edge.contracts.model_config import S2DConfig
from s2d_edge.core.console import Console
from s2d_edge.core.errors import QuantizationError
from tests.calibrate.graphs import CLIP_SHAPE, DEPTHWISE_MACS, MACS, write_transformer
from tests.calibrate.test_quantize import feeds, logits_of
from tests.firmware_host.graphs import make_bundle
from tests.models import CAUSAL, TINY
from tests.shared import Shared

# Slow together, for what they share.
pytestmark = [pytest.mark.slow(seconds=1), pytest.mark.usefixtures("undrawn")]

F32 = {"INFERENCE_PRECISION_HINT": "f32"}


def bundle_of(folder: Path, graph: str) -> Bundle:
    """A bundle whose graph is not written yet."""
    bundle = make_bundle(folder, graph=graph)
    manifest = bundle.manifest.model_copy(update={"execution": {"cpu": F32} if graph == "model.xml" else {}})
    return Bundle(folder, manifest)


@pytest.fixture(scope="module", params=["model.onnx", "model.xml"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    folder, name = tmp_path_factory.mktemp("pair"), request.param
    fp32, int8 = bundle_of(folder / "fp32", name), bundle_of(folder / "int8", name)
    if name == "model.onnx":
        write_transformer(fp32.graph_path)
        quantize_onnx(fp32.graph_path, int8.graph_path, recipe_for("jetson", name), feeds(4), 4)
    else:
        write_transformer(folder / "model.onnx")
        ov.save_model(ov.convert_model(folder / "model.onnx"), fp32.graph_path, compress_to_fp16=False)
        quantize_openvino(fp32.graph_path, int8.graph_path, recipe_for("intel-cpu", name), feeds(4), 4)
    return fp32, int8


def switched(fp32: Bundle, int8: Bundle, groups: list[list[str]]) -> Switched:
    if int8.graph_path.suffix == ".onnx":
        from s2d_edge.calibrate.graphs.onnx_switches import SwitchedOnnx

        return SwitchedOnnx(fp32.graph_path, int8.graph_path, groups)
    from s2d_edge.calibrate.graphs.openvino_switches import SwitchedOpenVINO

    return SwitchedOpenVINO(fp32.graph_path, int8.graph_path, groups, F32)


def clips(count: int) -> list[NDArray[np.uint8]]:
    return [feed["clip"] for feed in feeds(count, seed=5)]


@pytest.mark.slow(seconds=4)
def test_all_off_is_fp32_and_all_on_is_int8(pair: tuple[Bundle, Bundle]) -> None:
    fp32, int8 = pair
    groups = [[layer.name for layer in group] for group in quantized_groups(int8.graph_path).values()]
    graph = switched(fp32, int8, groups)
    fed = feeds(2, seed=5)
    fp32_logits, int8_logits = logits_of(fp32.graph_path, fed), logits_of(int8.graph_path, fed)
    distance = np.abs(fp32_logits - int8_logits).max()
    for number, feed in enumerate(fed):
        off = graph.infer(feed, np.zeros(len(groups), dtype=np.bool_))
        on = graph.infer(feed, np.ones(len(groups), dtype=np.bool_))
        np.testing.assert_allclose(off[0], fp32_logits[number], atol=1e-5)
        np.testing.assert_allclose(on[0], int8_logits[number], atol=max(0.1 * distance, 1e-5))


def test_every_int8_layer_is_measured_alone(pair: tuple[Bundle, Bundle]) -> None:
    fp32, int8 = pair
    measured = layer_sensitivity(fp32, int8, clips(2), Console(quiet=True))
    costs = [layer.rms_logit_diff for layer in measured]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 0
    assert sum(layer.macs for layer in measured) == MACS - DEPTHWISE_MACS  # which stay in floating point
    assert len({name for layer in measured for name in layer.layers}) == 8


@pytest.mark.parametrize("pair", ["model.onnx"], indirect=True)
def test_damaged_layer_costs_most(pair: tuple[Bundle, Bundle], tmp_path: Path) -> None:
    """With four times the scale of its weights, the least costly layer becomes the most costly."""
    fp32, int8 = pair
    before = layer_sensitivity(fp32, int8, clips(2), Console(quiet=True))
    victim = before[-1].layers[0]
    model = onnx.load(int8.graph_path)
    nodes = {node.name: node for node in model.graph.node}
    producer: dict[str, Any] = {name: node for node in model.graph.node for name in node.output}
    scale = producer[nodes[victim].input[1]].input[1]
    for tensor in model.graph.initializer:
        if tensor.name == scale:
            tensor.CopyFrom(numpy_helper.from_array(4 * numpy_helper.to_array(tensor), scale))
    damaged = bundle_of(tmp_path / "damaged", "model.onnx")
    onnx.save(model, damaged.graph_path)
    after = layer_sensitivity(fp32, damaged, clips(2), Console(quiet=True))
    assert after[0].layers == (victim,)
    others = {layer.name: layer.rms_logit_diff for layer in before[:-1]}
    assert {layer.name: layer.rms_logit_diff for layer in after[1:]} == pytest.approx(others, rel=1e-3)


def test_graph_of_another_model_is_rejected(pair: tuple[Bundle, Bundle], tmp_path: Path) -> None:
    _, int8 = pair
    other = make_bundle(tmp_path / "other", graph=int8.graph_path.name)
    with pytest.raises(QuantizationError, match="other"):
        layer_sensitivity(other, int8, clips(1), Console(quiet=True))


def test_large_models_are_measured_on_fewer_clips(
    pair: tuple[Bundle, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, int8 = pair
    assert CLIP_SHAPE[1] == 2
    assert affordable_clips(int8.graph_path) == 4
    groups = len(quantized_groups(int8.graph_path))
    monkeypatch.setattr(sensitivity, "_AFFORDABLE_MACS", 2.5 * MACS * groups)
    assert affordable_clips(int8.graph_path) == 2
    monkeypatch.setattr(sensitivity, "_AFFORDABLE_MACS", 1)
    assert affordable_clips(int8.graph_path) == 1


@pytest.mark.slow(seconds=23)
@pytest.mark.parametrize(("config", "mode"), [(TINY, "window"), (CAUSAL, "stream")])
def test_groups_are_the_same_in_both_formats(config: S2DConfig, mode: Mode, shared: Shared) -> None:
    groups = []
    for target in ("jetson", "intel-cpu"):
        graph = shared.exported(target, mode, config).graph_path
        groups.append({group_of(module_of(layer.name)) for layer in layers_of(graph)})
    assert groups[0] == groups[1]
    assert {"patch", "landmark.conv_4.model.0", "blocks.1.qkv", "promptings.0.adapter", "head"} <= groups[0]
    assert len(groups[0]) == 22


@pytest.mark.parametrize(
    ("module", "group"),
    [
        ("landmark.conv_4.model.0.conv.conv", "landmark.conv_4.model.0"),
        ("landmark.conv_23.project.conv", "landmark.conv_23"),
        ("patch", "patch"),
        ("blocks.11.attention.q", "blocks.11.qkv"),
        ("blocks.2.fc1", "blocks.2.fc1"),
        ("promptings.3.look", "promptings.3.look"),
        ("promptings.3.prompter.carry.up", "promptings.3.prompter"),
        ("promptings.3.to_prompt", "promptings.3.prompter"),
        ("promptings.3.time.mix.down", "promptings.3.adapter"),
        ("promptings.3.mix_up", "promptings.3.adapter"),
        ("parts.promptings.3.mix_up", "promptings.3.adapter"),
        ("times.3.q", "promptings.3.adapter"),
        ("head", "head"),
        ("parts.head", "head"),
        ("another.model", "another.model"),
    ],
)
def test_groups_of_modules(module: str, group: str) -> None:
    assert group_of(module) == group
