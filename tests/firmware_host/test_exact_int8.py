"""INT8 sums are exact on every processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from openvino import opset13 as ops

from s2d_edge.calibrate.graphs.onnx_session import cpu_session
from s2d_edge.core import processor
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.firmware_host.engines import exact_int8, open_engine
from s2d_edge.firmware_host.engines.openvino_engine import OpenVINOEngine
from s2d_edge.verbs.doctor_devices import diagnose_int8
from tests.firmware_host.graphs import CALIBRATED, make_bundle

_OLD = "processor : 0\nmodel name : Some CPU\nflags : fpu sse2 avx2\n"


def _describe(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the machine's processor by the one that ``text`` describes."""
    (folder / "cpuinfo").write_text(text, encoding="utf-8")
    monkeypatch.setattr(processor, "_CPUINFO", folder / "cpuinfo")


@pytest.mark.parametrize(
    ("text", "overflow"),
    [
        (_OLD, True),
        ("flags : fpu sse2 avx2 avx512f\n", True),
        ("flags : fpu sse2 avx2 avx_vnni\n", False),
        ("flags : fpu sse2 avx2 avx512f avx512_vnni amx_int8\n", False),
        ("Features : fp asimd asimddp\n", False),  # Arm
        ("", False),
    ],
)
def test_only_x86_without_vnni_overflows(
    text: str, overflow: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _describe(text, tmp_path, monkeypatch)
    assert exact_int8.sums_overflow() is overflow


@pytest.mark.parametrize("old", [False, True])
def test_large_products_are_summed_exactly(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice 255 · 127 exceeds 16 bits; with the settings for this machine, and for one without VNNI."""
    if old:
        _describe(_OLD, tmp_path, monkeypatch)
    model = _large_products(columns=256)
    properties = {"INFERENCE_PRECISION_HINT": "f32"} | exact_int8.openvino_properties()
    compiled = openvino_core().compile_model(model, "CPU", properties)
    found = compiled(np.full((1, 64, 256), 255, np.float32))[0]
    np.testing.assert_allclose(found, 256 * 255 * 127, rtol=1e-5)


def _large_products(columns: int) -> openvino.Model:
    """(1, 64, columns), rounded to 0 to 255, times a matrix of 127, which quantizers hold as INT8."""
    data = ops.parameter((1, 64, columns), np.float32)
    rounded = ops.fake_quantize(data, 0.0, 255.0, 0.0, 255.0, 256)
    weights = ops.constant(np.full((32, columns), 127, np.int8))
    scaled = ops.multiply(ops.convert(weights, "f32"), ops.constant(np.ones((32, 1), np.float32)))
    return openvino.Model([ops.matmul(rounded, scaled, False, True)], [data], "large")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_openvino_engine_requests_exact_sums_on_x86_without_vnni(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[dict[str, Any]] = []

    class Listening:
        def compile_model(self, model: Any, device: str, properties: dict[str, Any]) -> Any:
            requested.append(properties)
            return core.compile_model(model, device, properties)

        def __getattr__(self, name: str) -> Any:
            return getattr(core, name)

    core = openvino_core()
    monkeypatch.setattr(openvino, "Core", Listening)
    calibration = CALIBRATED if precision == "int8" else None
    bundle = make_bundle(tmp_path / "b", precision=precision, calibration=calibration)
    for text in (_OLD, "flags : sse2 avx_vnni\n"):
        _describe(text, tmp_path, monkeypatch)
        with open_engine(bundle, "cpu") as engine:
            assert isinstance(engine, OpenVINOEngine)
    has = ["LP_TRANSFORMS_MODE" in properties for properties in requested]
    assert has == [precision == "int8", False]


def test_onnx_runtime_sums_exactly_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of an INT8 bundle and the sessions of calibrate both request it."""
    requested: list[str] = []
    real = onnxruntime.InferenceSession

    def listening(source: Any, sess_options: Any, **further: Any) -> Any:
        requested.append(sess_options.get_session_config_entry("session.x64quantprecision"))
        return real(source, sess_options, **further)

    monkeypatch.setattr(onnxruntime, "InferenceSession", listening)
    bundle = make_bundle(tmp_path / "b", graph="model.onnx", precision="int8", calibration=CALIBRATED)
    with open_engine(bundle, "cpu"):
        pass
    cpu_session(bundle.graph_path)
    cpu_session(onnx.load(bundle.graph_path))
    assert requested == ["1", "1", "1"]


def test_doctor_reports_x86_without_vnni(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _describe(_OLD, tmp_path, monkeypatch)
    without = diagnose_int8()
    assert not without.ready
    assert "VNNI" in without.found
    assert "FP32" in without.next_step
    _describe("flags : sse2 avx_vnni\n", tmp_path, monkeypatch)
    assert diagnose_int8().ready
    _describe("Features : fp asimd\n", tmp_path, monkeypatch)  # a Raspberry Pi 4
    assert not diagnose_int8().ready
