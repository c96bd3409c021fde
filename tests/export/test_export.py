"""Bundles written for every target, checked against PyTorch, and refused when they would be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from s2d_edge.contracts.bundle import MANIFEST, open_bundle
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, CheckpointError, ConfigError, S2DEdgeError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.export import command, parity
from s2d_edge.export.command import export_run
from s2d_edge.firmware_host.engines import open_engine
from tests.models import TINY, random_clip, write_random_run
from tests.shared import Shared

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

_QUIET = Console(quiet=True)


def _export(tmp_path: Path, target: str, **options: Any) -> Path:
    run = tmp_path / "run"
    if not run.exists():
        write_random_run(run)
    return export_run(
        target=target,
        run=run,
        out=tmp_path / target,
        console=_QUIET,
        **options,
    )


@pytest.fixture(scope="module")
def jetson(shared: Shared) -> Path:
    return shared.exported("jetson", "window", TINY).path


@pytest.fixture(scope="module")
def npu(shared: Shared) -> Path:
    return shared.exported("intel-npu", "window", TINY).path


@pytest.mark.slow(seconds=6)
@pytest.mark.parametrize("which", ["jetson", "npu"])
def test_bundle_has_the_run_s_logits(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle = open_bundle(request.getfixturevalue(which))
    model = write_random_run(tmp_path / "run")
    clip = random_clip(TINY)
    with open_engine(bundle, "cpu") as engine, torch.inference_mode():
        np.testing.assert_allclose(engine.infer(clip.numpy()), model(clip).numpy(), atol=1e-4)
    record = bundle.manifest.parity
    assert record.clips == 4
    assert record.max_abs_logit_diff <= record.tolerance == 1e-3


def test_jetson_graph_meets_tensorrt_s_requirements(jetson: Path) -> None:
    graph = onnx.load(jetson / "model.onnx")
    assert graph.ir_version == 10
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 18)]
    kinds = {node.op_type for node in graph.graph.node}
    assert "LayerNormalization" in kinds
    assert not kinds & {"Pow", "Sqrt", "ReduceVar"}  # what a LayerNorm in parts would leave
    for value in (*graph.graph.input, *graph.graph.output):
        assert all(axis.dim_value > 0 for axis in value.type.tensor_type.shape.dim)
    assert graph.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_npu_graph_has_no_dynamic_dimension_and_keeps_fp32(npu: Path) -> None:
    graph = openvino_core().read_model(npu / "model.xml")
    for op in graph.get_ops():
        assert all(output.get_partial_shape().is_static for output in op.outputs())
    constants = {
        op.get_element_type().get_type_name() for op in graph.get_ops() if op.get_type_name() == "Constant"
    }
    assert "f16" not in constants
    assert open_bundle(npu).manifest.execution["cpu"] == {"INFERENCE_PRECISION_HINT": "f32"}


@pytest.mark.slow(seconds=6)
def test_cpu_takes_the_faster_format_and_leaves_only_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_TIMED_S", 0.1)
    bundle = open_bundle(_export(tmp_path, "cpu"))
    assert sorted(path.suffix for path in bundle.path.iterdir() if path.is_file()) in (
        [".bin", ".json", ".npy", ".xml"],
        [".json", ".npy", ".onnx"],
    )


@pytest.mark.slow(seconds=3)
def test_image_model_exports_too(tmp_path: Path) -> None:
    write_random_run(tmp_path / "run", TINY.as_image())
    assert open_bundle(_export(tmp_path, "intel-cpu")).manifest.frames == 1


@pytest.mark.slow(seconds=4)
def test_failed_parity_writes_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "TOLERANCE", 1e-12)
    with pytest.raises(S2DEdgeError, match="1e-12"):
        _export(tmp_path, "intel-cpu")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_second_export_does_not_touch_the_first(jetson: Path) -> None:
    before = (jetson / MANIFEST).read_bytes()
    with pytest.raises(S2DEdgeError, match="jetson"):
        _export(jetson.parent, "jetson")
    assert (jetson / MANIFEST).read_bytes() == before


def test_invalid_targets_runs_and_counts_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'toaster'"):
        export_run(target="toaster", run=tmp_path, console=_QUIET)
    with pytest.raises(CheckpointError, match=r"run\.json"):
        export_run(target="cpu", run=tmp_path, console=_QUIET)
    with pytest.raises(ConfigError, match="--parity-clips 0"):
        export_run(parity_clips=0, console=_QUIET)


def test_one_changed_byte_is_found(npu: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(npu, copy)
    content = bytearray((copy / "model.bin").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "model.bin").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.bin"):
        open_bundle(copy)


def test_manifest_holds_the_whole_contract(npu: Path) -> None:
    manifest = json.loads((npu / MANIFEST).read_text())
    assert manifest["inputs"] == [
        {
            "name": "clip",
            "layout": "BTHWC",
            "shape": [1, TINY.frames, 64, 64, 3],
            "dtype": "uint8",
            "colour": "RGB",
            "range": [0.0, 255.0],
        }
    ]
    assert manifest["labels"] == ["a", "b", "c"]
    assert manifest["fps"] == 4.0
    pack = {f"face/{file}" for file in ("near.onnx", "far.onnx", "mesh.onnx", "NOTICE.txt", "selftest.npz")}
    assert set(manifest["files"]) == {"model.xml", "model.bin", "selftest.npy"} | pack
    assert manifest["self_test"]["file"] == "selftest.npy"
    assert manifest["tools"].keys() >= {"python", "s2d-edge", "torch", "openvino"}
