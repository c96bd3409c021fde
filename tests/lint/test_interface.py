"""Inputs and outputs of a graph are of the types, names and number that its manifest gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from s2d_edge.contracts.bundle import open_bundle, seal
from s2d_edge.core.console import Console
from s2d_edge.lint.command import lint_bundle
from tests.firmware_host.graphs import make_bundle
from tests.lint.graphs import Model, int8_graph, node, rules_broken, store


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        (TensorProto.INT64, False),
        (TensorProto.STRING, False),
        (TensorProto.FLOAT16, False),
        (TensorProto.DOUBLE, False),
        (TensorProto.BOOL, False),
        (TensorProto.INT8, False),
        (TensorProto.UINT8, True),
        (TensorProto.INT32, True),
        (TensorProto.FLOAT, True),
    ],
)
def test_inputs_have_types_that_the_host_gives(kind: int, allowed: bool) -> None:
    model = int8_graph()
    model.graph.input.append(helper.make_tensor_value_info("more", kind, (1,)))
    assert ("input-types" in rules_broken(model)) is not allowed


def _renamed(model: Model) -> None:
    model.graph.input[0].name = node(model, "cast").input[0] = "images"


def _extra(model: Model) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, (1,)))


def _retyped(model: Model) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64


def _reshaped(model: Model) -> None:
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[0].dim_value, dims[1].dim_value = 2, 1
    node(model, "frames").input[1] = store(model, "frames.shape", np.array([2, 32, 32, 3]))


def _another_output(model: Model) -> None:
    model.graph.output.append(helper.make_tensor_value_info("mean.out", TensorProto.FLOAT, (1, 8)))


def _renamed_output(model: Model) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "scores"


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (_renamed, {"clip", "images"}),
        (_extra, {"more"}),
        (_retyped, {"clip"}),
        (_another_output, {"mean.out"}),
        (_renamed_output, {"logits", "scores"}),
        (_reshaped, {"clip"}),
    ],
)
@pytest.mark.parametrize("target", ["jetson", "cpu"])
def test_inputs_and_outputs_are_those_of_the_manifest(
    tmp_path: Path, target: str, change: Callable[[Model], None], names: set[str]
) -> None:
    bundle = make_bundle(tmp_path / "bundle", graph="model.onnx", target=target, frames=1, size=32)
    model = int8_graph()
    onnx.save(model, bundle.graph_path)
    seal(bundle.path, bundle.manifest)
    assert lint_bundle(bundle.path, Console(quiet=True))["fits"]
    change(model)
    onnx.save(model, bundle.graph_path)
    seal(bundle.path, bundle.manifest)
    result = lint_bundle(open_bundle(bundle.path).path, Console(quiet=True))
    assert not result["fits"]
    found = {each["node"] for each in result["violations"] if each["rule"] == "interface"}
    assert found >= names
    json.dumps(result)


def test_an_ir_s_inputs_are_those_of_the_manifest(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    assert lint_bundle(bundle.path, Console(quiet=True))["fits"]
    spec = bundle.manifest.inputs[0].model_copy(update={"name": "images"})
    seal(bundle.path, bundle.manifest.model_copy(update={"inputs": (spec,)}))
    assert not lint_bundle(bundle.path, Console(quiet=True))["fits"]
