"""GPUs and NPUs through stand-ins for the runtimes: the options they get, and the errors.

Nothing here ran on such a device; the options are those the runtimes document.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import openvino
import pytest

from s2d_edge.calibrate.quantize.recipe import recipe_for
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.core.errors import DeviceError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.export.targets import EXECUTION
from s2d_edge.firmware_host.engines import nvidia, onnxruntime_engine, open_engine, openvino_engine
from s2d_edge.firmware_host.engines.base import DeviceAbsentError
from tests.firmware_host.graphs import make_bundle

TENSORRT, CUDA, CPU = (f"{name}ExecutionProvider" for name in ("Tensorrt", "CUDA", "CPU"))
JETSON = EXECUTION["onnx"] | recipe_for("jetson", "model.onnx").execution
_REAL_SESSION = onnxruntime.InferenceSession


class FakeSession:
    """A CPU session that says it runs elsewhere, and notes how it was opened."""

    opened: list[dict[str, Any]] = []  # noqa: RUF012  (of all sessions; emptied by the fixture)
    loads: Sequence[str] = (TENSORRT, CUDA, CPU)
    on_cpu: Sequence[str] = ()

    def __init__(self, file: str, **options: Any) -> None:
        self.opened.append(options)
        self._asked = [name for name, _ in options["providers"]]
        self._real = _REAL_SESSION(file, providers=[CPU])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_providers(self) -> list[str]:
        return [name for name in (*self._asked, CPU) if name in self.loads]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        def part(place: str, kinds: Sequence[str]) -> Any:
            return SimpleNamespace(
                ep_name=place, get_nodes=lambda: [SimpleNamespace(op_type=kind) for kind in kinds]
            )

        return [part(self._asked[0], ["MatMul", "ReduceMean"]), part(CPU, self.on_cpu)]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeSession]:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    monkeypatch.setattr(onnxruntime_engine, "devices", lambda: ("cpu", "cuda", "tensorrt"))
    monkeypatch.setattr(nvidia, "gpu", lambda: ("Orin", "540.4.0"))
    monkeypatch.setattr(nvidia, "tensorrt", lambda: "10.3.0")
    monkeypatch.setattr(nvidia, "cuda", lambda: "12.6")
    monkeypatch.setattr(FakeSession, "opened", [])
    return FakeSession


@pytest.fixture
def jetson(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "b", graph="model.onnx", target="jetson", execution=JETSON)


def _cache_of(session: type[FakeSession]) -> str:
    path: str = session.opened[-1]["providers"][0][1]["trt_engine_cache_path"]
    return path


def test_tensorrt_gets_the_bundle_s_options_and_a_cache_of_its_own(
    session: type[FakeSession], jetson: Bundle, tmp_path: Path
) -> None:
    with open_engine(jetson, "TensorRT") as engine:
        assert engine.identity.runtime.endswith(", CUDA 12.6, TensorRT 10.3.0")
        assert (engine.identity.name, engine.identity.driver) == ("Orin", "540.4.0")
        assert engine.arithmetic == "16-bit"
        assert "Orin (2 nodes on TensorrtExecutionProvider)" in engine.description
    [opened] = session.opened
    assert opened["enable_fallback"] == 0
    (first, options), (second, cuda), (third, _) = opened["providers"]
    assert (first, second, third) == (TENSORRT, CUDA, CPU)
    assert options["trt_int8_enable"] == options["trt_fp16_enable"] == "1"
    assert options["trt_layer_norm_fp32_fallback"] == "1"
    assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "1"
    folder = Path(options["trt_engine_cache_path"])
    assert folder.is_dir()
    assert folder.parent == tmp_path / "cache" / "tensorrt"
    assert options["trt_timing_cache_path"] == str(folder)
    assert cuda == {"use_tf32": "0"}


def test_built_engines_are_kept_by_graph_gpu_and_versions(
    session: type[FakeSession], jetson: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_engine(jetson, "tensorrt")
    before = _cache_of(session)
    open_engine(jetson, "tensorrt")
    assert _cache_of(session) == before
    seen = {before}
    other = make_bundle(tmp_path / "c", graph="model.onnx", frames=5, execution=JETSON)
    open_engine(other, "tensorrt")
    seen.add(_cache_of(session))
    for name, value in (("gpu", ("Thor", "540.4.0")), ("tensorrt", "10.4.0")):
        with monkeypatch.context() as patch:
            patch.setattr(nvidia, name, lambda value=value: value)
            open_engine(jetson, "tensorrt")
        seen.add(_cache_of(session))
    with monkeypatch.context() as patch:
        patch.setattr(onnxruntime, "__version__", "9.9")
        open_engine(jetson, "tensorrt")
    seen.add(_cache_of(session))
    assert len(seen) == 5


def test_nothing_is_kept_without_a_folder_or_a_version(
    session: type[FakeSession], jetson: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file")
    open_engine(jetson, "tensorrt")
    (tmp_path / "cache").unlink()
    monkeypatch.setattr(nvidia, "tensorrt", lambda: "")
    open_engine(jetson, "tensorrt")
    for opened in session.opened:
        assert not any("cache" in key for key in opened["providers"][0][1])


@pytest.mark.parametrize("loads", [(CUDA, CPU), (CPU,)])
def test_falling_back_in_silence_is_an_error(
    loads: Sequence[str], session: type[FakeSession], jetson: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "loads", loads)
    with pytest.raises(DeviceAbsentError, match="TensorrtExecutionProvider"):
        open_engine(jetson, "tensorrt")
    with open_engine(jetson) as engine:  # auto says what it takes instead
        assert engine.identity.device == ("cuda" if CUDA in loads else "cpu")


def test_work_left_to_the_cpu_is_an_error_unless_it_is_small(
    session: type[FakeSession], jetson: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "on_cpu", ["Gather", "Cast"])
    with open_engine(jetson, "cuda") as engine:
        assert "2 nodes on CUDAExecutionProvider, 2 nodes on CPUExecutionProvider" in engine.description
        assert engine.arithmetic == "fp32"  # TF32 is switched off
    monkeypatch.setattr(session, "on_cpu", ["Gather", "QLinearMatMul", "LayerNormalization"])
    with pytest.raises(DeviceError, match="LayerNormalization, QLinearMatMul"):
        open_engine(jetson, "cuda")


def test_real_sessions_report_where_their_nodes_run(tmp_path: Path) -> None:
    if not hasattr(_REAL_SESSION, "get_provider_graph_assignment_info"):
        pytest.skip("needs an ONNX Runtime of 1.24 or later")
    bundle = make_bundle(tmp_path / "b", graph="model.onnx")
    with open_engine(bundle, "cpu") as engine:
        places = onnxruntime_engine._places(engine._session)  # type: ignore[attr-defined]
    assert places[CPU, "MatMul"] == 1
    assert {place for place, _ in places} == {CPU}


class FakeCore:
    """OpenVINO with an NPU that is the CPU in disguise."""

    driver = "1759450000"
    compiled: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012

    real: Any = None
    available_devices = ("CPU", "NPU")

    def read_model(self, path: Path) -> Any:
        return self.real.read_model(path)

    def get_property(self, device: str, name: str) -> Any:
        if device == "NPU":
            return {"FULL_DEVICE_NAME": "Intel AI Boost", "NPU_DRIVER_VERSION": self.driver}[name]
        return self.real.get_property(device, name)

    def compile_model(self, model: Any, device: str, properties: dict[str, Any]) -> Any:
        self.compiled.append((device, properties))
        real = self.real.compile_model(model, "CPU")
        known = {"EXECUTION_DEVICES": [device], "INFERENCE_PRECISION_HINT": openvino.Type.f16}
        return SimpleNamespace(
            get_property=lambda name: known.get(name) or real.get_property(name),
            create_infer_request=real.create_infer_request,
        )


def test_compiled_graphs_are_kept_by_graph_driver_and_version_except_on_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(FakeCore, "real", openvino_core())
    monkeypatch.setattr(FakeCore, "compiled", [])
    monkeypatch.setattr(openvino, "Core", FakeCore)
    bundle = make_bundle(tmp_path / "b", target="intel-npu")
    with open_engine(bundle) as engine:
        assert engine.identity.device == "npu"
        assert engine.identity.driver == FakeCore.driver
        assert engine.arithmetic == "16-bit"
    open_engine(bundle, "NPU")
    monkeypatch.setattr(FakeCore, "driver", "1730970000")
    open_engine(bundle, "npu")
    monkeypatch.setattr(openvino, "__version__", "2030.1")
    open_engine(bundle, "npu")
    open_engine(make_bundle(tmp_path / "c", frames=5), "npu")
    folders = [properties["CACHE_DIR"] for _, properties in FakeCore.compiled]
    assert folders[0] == folders[1]
    assert len(set(folders)) == 4
    assert all(Path(folder).parent == tmp_path / "cache" / "openvino" for folder in folders)
    open_engine(bundle, "cpu")
    assert "CACHE_DIR" not in FakeCore.compiled[-1][1]


def test_a_driver_that_openvino_does_not_report_is_empty() -> None:
    assert openvino_engine.driver_version(openvino_core(), "cpu") == ""
    assert openvino_engine.driver_version(openvino_core(), "npu") == ""
