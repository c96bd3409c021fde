"""Type an INT8 graph in 16 bits, for TensorRT 11."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from s2d_edge.api.stages import calibrate
from s2d_edge.calibrate.quantize.half_typed import OPSET, require_half, write_half_typed
from s2d_edge.calibrate.quantize.onnx_graph import quantize_onnx
from s2d_edge.calibrate.quantize.recipe import recipe_for
from s2d_edge.contracts.bundle import open_bundle
from s2d_edge.core.console import Console
from s2d_edge.core.errors import QuantizationError
from s2d_edge.lint.check import lint_graph
from s2d_edge.lint.command import lint_bundle
from s2d_edge.lint.onnx_view import QUANTIZERS, OnnxGraph
from tests.calibrate.graphs import write_transformer
from tests.calibrate.test_quantize import feeds
from tests.colours import write_colours
from tests.deploy import trtexec
from tests.firmware_host.graphs import make_bundle

# Slow together, for what they share.
pytestmark = [pytest.mark.slow(seconds=1), pytest.mark.usefixtures("undrawn")]


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An INT8 graph for TensorRT, and its copy typed in 16 bits."""
    folder = tmp_path_factory.mktemp("graphs")
    write_transformer(folder / "fp32.onnx")
    int8, half = folder / "model.onnx", folder / "model_fp16.onnx"
    quantize_onnx(folder / "fp32.onnx", int8, recipe_for("jetson", int8.name), feeds(8), 8)
    write_half_typed(int8, half)
    return int8, half


def test_everything_but_norms_and_edges_is_in_16_bits(graphs: tuple[Path, Path]) -> None:
    int8, half = graphs
    onnx.checker.check_model(str(half), full_check=True)
    graph, before = OnnxGraph(onnx.load(half)), OnnxGraph(onnx.load(int8))
    assert graph.opset >= OPSET
    assert graph.ir_version == before.ir_version == 10
    assert [graph.types[name] for name in (*graph.inputs, *graph.outputs)] == [
        before.types[name] for name in (*before.inputs, *before.outputs)
    ]
    wide = {
        node.op_type
        for node in graph.nodes
        if TensorProto.FLOAT in {graph.types.get(name) for name in (*node.input, *node.output)}
    }
    assert wide == {"LayerNormalization", "Cast"}
    norms = list(graph.of("LayerNormalization"))
    assert len(norms) == 2
    assert all(
        {graph.types[name] for name in (*node.input, *node.output)} == {TensorProto.FLOAT} for node in norms
    )
    for kind in QUANTIZERS:
        assert len(list(graph.of(kind))) == len(list(before.of(kind)))
    assert all(graph.types[node.input[1]] == TensorProto.FLOAT16 for node in graph.of(*QUANTIZERS))
    assert lint_graph(half, "jetson") == []


def test_int8_weights_are_stored_once(graphs: tuple[Path, Path], tmp_path: Path) -> None:
    int8, half = graphs
    model = onnx.load(half, load_external_data=False)
    weights = [each for each in model.graph.initializer if each.data_type == TensorProto.INT8]
    assert all(
        (each.data_location == TensorProto.EXTERNAL) == (np.prod(each.dims) >= 1024) for each in weights
    )
    whole = {each.name: each for each in onnx.load(int8).graph.initializer}
    shared = [each for each in weights if each.data_location == TensorProto.EXTERNAL]
    assert shared
    for weight in shared:
        where = {entry.key: entry.value for entry in weight.external_data}
        assert where["location"] == int8.name
        begin, length = int(where["offset"]), int(where["length"])
        assert int8.read_bytes()[begin : begin + length] == whole[weight.name].raw_data
    alone = shutil.copy(half, tmp_path)
    with pytest.raises(Exception, match=r"model\.onnx"):
        onnxruntime.InferenceSession(alone, providers=["CPUExecutionProvider"])


def test_its_logits_agree_with_those_of_the_int8_graph(graphs: tuple[Path, Path]) -> None:
    found = require_half(*graphs, feeds(6, seed=9))
    assert 0 < found.rms < 0.05  # of random weights, whose logits hardly vary
    assert 1 < found.largest_inside < 256


def _overflowing(path: Path) -> None:
    """Squares a mean colour twice and takes the root twice: within FP32, beyond FP16."""
    nodes = [
        helper.make_node("Cast", ["clip"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "mean"], ["square"]),
        helper.make_node("Mul", ["square", "square"], ["fourth"]),
        helper.make_node("Sqrt", ["fourth"], ["root"]),
        helper.make_node("Sqrt", ["root"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "overflow",
        [helper.make_tensor_value_info("clip", TensorProto.UINT8, (1, 2, 48, 48, 3))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(np.array([1, 2, 3]), "axes")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def test_a_graph_that_does_not_fit_16_bits_is_rejected(tmp_path: Path) -> None:
    int8, half = tmp_path / "model.onnx", tmp_path / "model_fp16.onnx"
    _overflowing(int8)
    write_half_typed(int8, half)
    with pytest.raises(QuantizationError, match=r"fourth .*e\+08"):
        require_half(int8, half, feeds(3))


def test_int8_bundle_of_a_jetson_holds_both_graphs_and_builds_its_engine(tmp_path: Path) -> None:
    write_colours(tmp_path / "data", "train", 1)
    data = write_colours(tmp_path / "data", "test", 1)
    fp32 = make_bundle(tmp_path / "colours", graph="model.onnx", target="jetson")
    out, _ = calibrate(
        fp32.path, data=str(data), subset=3, out=tmp_path / "int8", console=Console(quiet=True)
    )
    bundle = open_bundle(out)
    assert {"model.onnx", "model_fp16.onnx", "build_engine.sh"} <= bundle.manifest.files.keys()
    assert lint_bundle(out, Console(quiet=True))["fits"]
    notes = trtexec.install(tmp_path / "bin", number=110400)
    environment = os.environ | {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "S2D_EDGE_CACHE": str(tmp_path / "cache"),
    }
    subprocess.run(["sh", str(out / "build_engine.sh")], env=environment, check=True, capture_output=True)
    assert notes.read_text().startswith(f"--onnx={out}/model_fp16.onnx\n")
    [record] = (tmp_path / "cache/plans").glob("*/*.json")
    assert json.loads(record.read_text())["graph_sha256"] == bundle.manifest.files["model_fp16.onnx"]
