"""Quantize a small transformer with NNCF, for each kind of target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest
from numpy.typing import NDArray

from s2d_edge.calibrate.graphs.int8_macs import MacCount, count_macs
from s2d_edge.calibrate.graphs.onnx_session import cpu_session
from s2d_edge.calibrate.quantize.onnx_graph import activation_products, quantize_onnx
from s2d_edge.calibrate.quantize.openvino_graph import quantize_openvino
from s2d_edge.calibrate.quantize.recipe import recipe_for
from s2d_edge.contracts.bundle import Target
from s2d_edge.core.errors import QuantizationError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.firmware_host.engines.exact_int8 import openvino_properties
from s2d_edge.lint.check import lint_graph
from tests.calibrate.graphs import CLIP_SHAPE, CONVOLUTION_MACS, DEPTHWISE_MACS, MACS, write_transformer


def feeds(count: int, seed: int = 0) -> list[dict[str, NDArray[np.uint8]]]:
    generator = np.random.default_rng(seed)
    return [{"clip": generator.integers(0, 256, CLIP_SHAPE, dtype=np.uint8)} for _ in range(count)]


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fp32") / "model.onnx"
    write_transformer(path)
    return path


def quantize_for(target: Target, fp32: Path, folder: Path) -> Path:
    recipe = recipe_for(target, "model.onnx")
    quantize_onnx(fp32, folder / "model.onnx", recipe, feeds(8), 8)
    return folder / "model.onnx"


@pytest.fixture(scope="module")
def jetson(fp32: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantize_for("jetson", fp32, tmp_path_factory.mktemp("jetson"))


def logits_of(graph: Path, clips: list[dict[str, NDArray[np.uint8]]]) -> NDArray[np.float32]:
    if graph.suffix == ".onnx":
        session = cpu_session(graph)
        return np.concatenate([session.run(None, clip)[0] for clip in clips])
    properties = {"INFERENCE_PRECISION_HINT": "f32"} | openvino_properties()
    compiled = openvino_core().compile_model(graph, "CPU", properties)
    return np.concatenate([compiled(clip)[0].copy() for clip in clips])


def assert_close_to_fp32(fp32: Path, int8: Path) -> None:
    """On clips not calibrated on, the logits change by far less than they vary."""
    clips = feeds(6, seed=9)
    expected, found = logits_of(fp32, clips), logits_of(int8, clips)
    assert np.abs(found - expected).max() > 0  # it is another graph
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


@pytest.mark.slow(seconds=2)
def test_macs_of_the_full_precision_graphs(fp32: Path, tmp_path: Path) -> None:
    assert count_macs(fp32) == MacCount(total=MACS, int8=0)
    ov.save_model(ov.convert_model(fp32), tmp_path / "model.xml", compress_to_fp16=False)
    assert count_macs(tmp_path / "model.xml") == MacCount(total=MACS, int8=0)


def test_jetson_graph_is_symmetric_and_quantizes_linears_and_convolutions_only(
    fp32: Path, jetson: Path
) -> None:
    assert lint_graph(jetson, "jetson") == []
    model = onnx.load(jetson)
    producer = {name: node for node in model.graph.node for name in node.output}
    fed_by_int8 = {
        node.op_type
        for node in model.graph.node
        for name in node.input
        if name in producer and producer[name].op_type == "DequantizeLinear"
    }
    assert fed_by_int8 == {"MatMul", "Conv"}  # no Add, no LayerNormalization, no Resize
    for name in ("scores_product", "values_product"):  # Q·Kᵀ and A·V stay float
        node = next(node for node in model.graph.node if node.name == name)
        assert all(producer[source].op_type != "DequantizeLinear" for source in node.input)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    stored = [node for node in model.graph.node if node.input[0] in weights and "Dequantize" in node.op_type]
    assert len(stored) == 8  # 1 convolution, 7 linears: weights lie there as int8, behind a DQ alone
    assert all(weights[node.input[0]].data_type == onnx.TensorProto.INT8 for node in stored)
    assert all(weights[node.input[1]].dims[0] > 1 for node in stored)  # a scale per channel
    # NNCF alone leaves the picture's quantizer unsigned, for no pixel is negative.
    assert any("signed" in node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear")
    assert count_macs(jetson) == MacCount(total=MACS, int8=MACS - DEPTHWISE_MACS)
    onnx.checker.check_model(model, full_check=True)
    assert_close_to_fp32(fp32, jetson)


def test_cpu_onnx_graph_lets_activations_be_asymmetric(fp32: Path, tmp_path: Path) -> None:
    graph = quantize_for("cpu", fp32, tmp_path)
    assert lint_graph(graph, "cpu") == []
    assert "signed-int8" in {violation.rule for violation in lint_graph(graph, "jetson")}
    assert count_macs(graph) == MacCount(total=MACS, int8=MACS - DEPTHWISE_MACS)
    assert_close_to_fp32(fp32, graph)


@pytest.mark.slow(seconds=3)
@pytest.mark.parametrize("target", ["intel-cpu", "intel-npu"])
def test_intel_graph_is_static_and_int8(
    fp32: Path, tmp_path: Path, target: Target, capfd: pytest.CaptureFixture[str]
) -> None:
    ov.save_model(ov.convert_model(fp32), tmp_path / "fp32.xml", compress_to_fp16=False)
    recipe = recipe_for(target, "model.xml")
    quantize_openvino(tmp_path / "fp32.xml", tmp_path / "model.xml", recipe, feeds(8), 8)
    assert capfd.readouterr().out == ""  # stdout belongs to --json
    assert lint_graph(tmp_path / "model.xml", target) == []
    assert count_macs(tmp_path / "model.xml") == MacCount(total=MACS, int8=MACS - DEPTHWISE_MACS)
    assert_close_to_fp32(tmp_path / "fp32.xml", tmp_path / "model.xml")


def test_graph_with_too_few_int8_macs_is_rejected(jetson: Path, tmp_path: Path) -> None:
    """Cut the quantizers of the largest convolution out of the graph."""
    model = onnx.load(jetson)
    producer = {name: node for node in model.graph.node for name in node.output}
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    dequantize = producer[conv.input[0]]
    conv.input[0] = producer[dequantize.input[0]].input[0]
    onnx.save(model, tmp_path / "model.onnx")
    count = count_macs(tmp_path / "model.onnx")
    stem = CONVOLUTION_MACS * 48 // 57
    assert count == MacCount(total=MACS, int8=MACS - DEPTHWISE_MACS - stem)
    with pytest.raises(QuantizationError, match=r"\d\d\.\d %"):
        count.require_int8()


def test_activation_products_are_found_by_their_inputs(fp32: Path) -> None:
    assert activation_products(onnx.load(fp32)) == ["scores_product", "values_product"]
