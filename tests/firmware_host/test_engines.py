"""The graph engines: correct logits, and an error for everything that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2d_edge.contracts.bundle import TensorSpec, open_bundle
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.errors import BundleError, ConfigError, DeviceError, MissingExtraError
from s2d_edge.firmware_host.bench.profile import profile
from s2d_edge.firmware_host.bundles import STARTER_FOLDER
from s2d_edge.firmware_host.engines import Fit, fit_of, open_engine
from s2d_edge.firmware_host.engines.base import DeviceAbsentError
from tests.firmware_host.graphs import FRAMES, LABELS, SIZE, make_bundle

GRAPHS = ("model.xml", "model.onnx")


def colour_clip(red: int, green: int, blue: int) -> Clip:
    return np.broadcast_to(np.array([red, green, blue], np.uint8), (1, FRAMES, SIZE, SIZE, 3))


@pytest.mark.parametrize("graph", GRAPHS)
def test_engine_returns_logits_in_the_manifest_s_terms(tmp_path: Path, graph: str) -> None:
    with open_engine(make_bundle(tmp_path / "b", graph=graph), "cpu", threads=1) as engine:
        logits = engine.infer(colour_clip(10, 200, 30))
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, [[1.0, 20.0, 3.0]], rtol=1e-5)
        assert engine.labels == LABELS
        assert (engine.spec.frames, engine.spec.size) == (FRAMES, SIZE)
        assert "CPU" in engine.description
        assert "FP32" in engine.description


@pytest.mark.parametrize("graph", GRAPHS)
def test_engine_refuses_clips_of_another_shape_or_dtype(tmp_path: Path, graph: str) -> None:
    with open_engine(make_bundle(tmp_path / "b", graph=graph)) as engine:
        floats: Any = colour_clip(1, 2, 3).astype(np.float32)
        for wrong in (colour_clip(1, 2, 3)[:, 1:], floats):
            with pytest.raises(DeviceError, match="uint8"):
                engine.infer(wrong)


@pytest.mark.parametrize("graph", GRAPHS)
def test_logits_that_are_not_finite_are_an_error(tmp_path: Path, graph: str) -> None:
    weights = np.full((3, 3), np.inf, np.float32)
    with (
        open_engine(make_bundle(tmp_path / "b", graph=graph, weights=weights)) as engine,
        pytest.raises(DeviceError),
    ):
        engine.infer(colour_clip(1, 2, 3))


@pytest.mark.parametrize("graph", GRAPHS)
def test_closed_engine_says_so(tmp_path: Path, graph: str) -> None:
    engine = open_engine(make_bundle(tmp_path / "b", graph=graph))
    engine.close()
    with pytest.raises(DeviceError, match="closed"):
        engine.infer(colour_clip(1, 2, 3))


@pytest.mark.parametrize("graph", GRAPHS)
def test_graph_that_differs_from_its_manifest_is_refused(tmp_path: Path, graph: str) -> None:
    other = (TensorSpec(name="scores", layout="BK", shape=(1, 3), dtype="float32"),)
    with pytest.raises(BundleError, match="'scores'"):
        open_engine(make_bundle(tmp_path / "name", graph=graph, outputs=other))
    four = (TensorSpec(name="logits", layout="BK", shape=(1, 4), dtype="float32"),)
    with pytest.raises(BundleError, match=r"\(1, 3\)"):
        open_engine(make_bundle(tmp_path / "shape", graph=graph, outputs=four, labels=(*LABELS, "x")))


@pytest.mark.parametrize(("graph", "absent"), [("model.xml", "cuda"), ("model.onnx", "npu")])
def test_device_the_runtime_never_has_is_an_error_that_names_what_exists(
    tmp_path: Path, graph: str, absent: str
) -> None:
    with pytest.raises(DeviceError, match=rf"--device {absent}.*cpu"):
        open_engine(make_bundle(tmp_path / "b", graph=graph), absent)


def test_unknown_device_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tpu"):
        open_engine(make_bundle(tmp_path / "b"), "tpu")


def test_auto_says_why_it_is_not_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from s2d_edge.firmware_host.engines import onnxruntime_engine

    monkeypatch.setattr(onnxruntime_engine, "devices", lambda: ("cpu",))
    with open_engine(make_bundle(tmp_path / "b", graph="model.onnx", target="jetson")) as engine:
        for name in ("jetson", "tensorrt", "cuda", "CPUExecutionProvider"):
            assert name in engine.description


def test_provider_that_is_listed_but_does_not_load_is_not_used_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel built for CUDA, on a machine without: the session would quietly run on the CPU."""
    import onnxruntime

    from s2d_edge.firmware_host.engines import onnxruntime_engine

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("needs an ONNX Runtime without CUDA")
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime_engine, "devices", lambda: ("cpu", "cuda"))
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda file, **options: real(file, options["sess_options"])
    )
    bundle = make_bundle(tmp_path / "b", graph="model.onnx", target="jetson")
    with pytest.raises(DeviceAbsentError, match="CUDAExecutionProvider"):
        open_engine(bundle, "cuda")
    with open_engine(bundle) as engine:
        assert "cuda" in engine.description


def test_property_the_device_refuses_is_an_error(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", execution={"cpu": {"INFERENCE_PRECISION_HINT": "nonsense"}})
    with pytest.raises(DeviceError, match="CPU"):
        open_engine(bundle)


def test_missing_runtime_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    bundle = make_bundle(tmp_path / "b", graph="model.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "s2d_edge.firmware_host.engines.onnxruntime_engine", raising=False)
    import s2d_edge.firmware_host.engines as engines

    monkeypatch.delattr(engines, "onnxruntime_engine", raising=False)
    with pytest.raises(MissingExtraError, match=r"s2d-edge\[ort\]"):
        open_engine(bundle)
    assert fit_of(bundle.manifest) is Fit.NOT_AT_ALL


@pytest.mark.slow(seconds=2)
def test_onnx_runtime_multiplies_an_int8_graph_s_linears_in_int8() -> None:
    shipped = STARTER_FOLDER / "jetson"
    if not shipped.is_dir():
        pytest.skip("this checkout ships no starter bundle")
    with open_engine(open_bundle(shipped), "cpu", profile=True) as engine:
        nodes = {kind.kind: kind.nodes for kind in profile(engine, 1).kinds}
    # A linear and its bias as one Gemm would be computed in FP32; the last one has no quantizer after it.
    assert nodes["MatMulIntegerToFloat"] > nodes.get("Gemm", 0)
    assert nodes.get("Gemm", 0) <= 1
