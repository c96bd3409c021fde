"""The face search on other devices: which one is taken, what it is given, and whether it is believed.

GPUs and NPUs are stand-ins; nothing here ran on one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from s2d_edge.contracts.bundle import Bundle, EngineIdentity, open_bundle, seal
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, ConfigError, DeviceError, SelfTestError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.firmware_host.engines import nvidia, onnxruntime_engine
from s2d_edge.firmware_host.engines.face_runtime import FaceRuntime, open_face_runtime
from s2d_edge.firmware_host.face_finder import open_face_finder
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.selftest.faces import check_faces, face_self_test
from s2d_edge.firmware_host.selftest.selftest import check_bundle, write_self_test
from s2d_edge.firmware_host.selftest.trust import require_face_trust
from s2d_edge.media.faces.cpu import Floats, Graph
from tests.firmware_host.graphs import Pack, add_pack, make_bundle

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

QUIET = Console(quiet=True)
NPU = EngineIdentity(runtime="OpenVINO 1", device="npu", name="Intel AI Boost", driver="1730970000")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def bundle(face_pack: Pack, tmp_path: Path, cache: Path) -> Bundle:
    return add_pack(face_pack, make_bundle(tmp_path / "b", target="intel-npu"))


@pytest.fixture
def onnx_bundle(face_pack: Pack, tmp_path: Path, cache: Path) -> Bundle:
    return add_pack(face_pack, make_bundle(tmp_path / "o", graph="model.onnx", target="jetson"))


class FakeCore:
    """OpenVINO with an NPU, which computes on the CPU; notes what it compiled."""

    compiled: list[tuple[str, str, dict[str, Any]]] = []  # noqa: RUF012  (emptied by the fixture)
    available_devices = ("CPU", "NPU")

    def get_property(self, device: str, name: str) -> str:
        return {"FULL_DEVICE_NAME": f"a {device}", "NPU_DRIVER_VERSION": "1730970000"}[name]

    def compile_model(self, file: str, device: str, properties: dict[str, Any]) -> Any:
        self.compiled.append((Path(file).name, device, properties))
        if "refused" in properties:
            raise RuntimeError("Exception from src/plugin.cpp:1\nno such layer")
        return openvino_core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> type[FakeCore]:
    monkeypatch.setattr("s2d_edge.firmware_host.engines.openvino_engine.openvino_core", FakeCore)
    monkeypatch.setattr("s2d_edge.firmware_host.engines.face_runtime.openvino_core", FakeCore)
    monkeypatch.setattr(FakeCore, "compiled", [])
    return FakeCore


def _picture(bundle: Bundle) -> Any:
    face = bundle.manifest.face
    assert face is not None
    assert face.self_test is not None
    with np.load(bundle.path / face.self_test.file) as stored:
        return stored["pictures"][0]


def _changed(bundle: Bundle, change: Callable[[str, tuple[Floats, Floats]], tuple[Any, Any]]) -> FaceRuntime:
    """An NPU whose graphs answer what ``change`` makes of a graph's name and its outputs on a CPU."""
    real = open_face_runtime(bundle, "cpu", "cpu").compiled

    def compiled(file: Path) -> Graph:
        graph = real(file)
        return lambda picture: change(file.stem, graph(picture))

    return FaceRuntime(compiled=compiled, identity=NPU)


def _shifted(name: str, outputs: tuple[Floats, Floats]) -> tuple[Any, Any]:
    return (outputs[0] + np.float32(4), outputs[1]) if name == "mesh" else outputs


def _nan(name: str, outputs: tuple[Floats, Floats]) -> tuple[Any, Any]:
    return outputs[0] * np.float32("nan"), outputs[1]


def _infinite(name: str, outputs: tuple[Floats, Floats]) -> tuple[Any, Any]:
    return outputs[0] + np.float32("inf"), outputs[1]


def _zeros(name: str, outputs: tuple[Floats, Floats]) -> tuple[Any, Any]:
    return np.zeros_like(outputs[0]), outputs[1]


def _blind(name: str, outputs: tuple[Floats, Floats]) -> tuple[Any, Any]:
    return outputs[0], np.full_like(outputs[1], -50)


def _far_off(name: str, outputs: tuple[Floats, Floats]) -> tuple[Any, Any]:
    return (outputs[0] * np.float32(1.2), outputs[1]) if name == "far" else outputs


def _noisy(name: str, outputs: tuple[Floats, Floats]) -> tuple[Any, Any]:
    noise = np.random.default_rng(0).normal(0, 12, outputs[0].shape).astype(np.float32)
    return outputs[0] + noise, outputs[1]


@pytest.mark.parametrize("nonsense", [_shifted, _nan, _infinite, _zeros, _blind, _far_off, _noisy])
def test_a_device_that_answers_nonsense_is_refused_and_never_remembered(
    bundle: Bundle, cache: Path, nonsense: Callable[[str, tuple[Floats, Floats]], tuple[Any, Any]]
) -> None:
    for _ in range(2):
        with pytest.raises(SelfTestError, match="--face-device cpu"):
            require_face_trust(bundle, _changed(bundle, nonsense), QUIET)
    assert not (cache / "selftest").exists()


def test_numbers_of_16_bits_pass_and_are_remembered(
    bundle: Bundle, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def rounded(name: str, outputs: tuple[Floats, Floats]) -> tuple[Any, Any]:
        return outputs[0].astype(np.float16).astype(np.float32), outputs[1]

    for _ in range(2):
        require_face_trust(bundle, _changed(bundle, rounded), Console())
    assert " ".join(capfd.readouterr().err.split()).count("first time on npu Intel AI Boost") == 1
    assert len(list((cache / "selftest").iterdir())) == 1


def test_skipping_is_said_loudly(bundle: Bundle, capfd: pytest.CaptureFixture[str]) -> None:
    require_face_trust(bundle, _changed(bundle, _nan), QUIET, skip=True)
    assert "--skip-selftest: npu Intel AI Boost" in " ".join(capfd.readouterr().err.split())


@pytest.mark.parametrize("graph", ["model.xml", "model.onnx"])
def test_both_runtimes_find_the_drawn_faces(face_pack: Pack, tmp_path: Path, graph: str) -> None:
    bundle = add_pack(face_pack, make_bundle(tmp_path / "b", graph=graph))
    found = check_faces(bundle, "auto", "cpu")
    assert found is not None
    assert found.agreement.faces == 4
    assert not found.agreement.faults
    assert found.agreement.p99_percent < 0.1
    assert found.as_json()["passed"] is True
    assert check_faces(make_bundle(tmp_path / "bare"), "auto", "cpu") is None


@pytest.mark.parametrize("change", ["cut", "other shape", "no archive"])
def test_a_self_test_that_cannot_be_read_names_its_file(bundle: Bundle, change: str) -> None:
    face = bundle.manifest.face
    assert face is not None
    assert face.self_test is not None
    file = bundle.path / face.self_test.file
    if change == "other shape":
        np.savez(file, pictures=np.zeros((4, 9), np.uint8), points=np.zeros(3), boxes=np.zeros((4, 4)))
    else:
        file.write_bytes(file.read_bytes()[:-99] if change == "cut" else b"PK\x03\x04" + bytes(50))
    seal(bundle.path, bundle.manifest)
    with pytest.raises(BundleError, match=r"selftest\.npz"):
        face_self_test(open_bundle(bundle.path), face.self_test, _changed(bundle, _shifted))


def test_selftest_tells_of_faces(bundle: Bundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record = write_self_test(bundle, QUIET)
    seal(bundle.path, bundle.manifest.model_copy(update={"self_test": record}))
    check_bundle(bundle.path, "cpu", str(tmp_path / "report.json"), Console())
    assert "4 drawn faces" in " ".join(capfd.readouterr().err.split())
    assert '"faces": {' in (tmp_path / "report.json").read_text()


def test_a_face_is_searched_on_the_models_device_or_the_one_given(
    bundle: Bundle, core: type[FakeCore], cache: Path
) -> None:
    engine = SimpleNamespace(identity=NPU)
    for device, plugins in (("auto", {"NPU"}), ("npu", {"NPU"})):
        runtime = open_face_runtime(bundle, device, engine.identity.device)
        assert runtime.identity.driver == "1730970000"
        face = bundle.manifest.face
        assert face is not None
        runtime.compiled(bundle.path / face.mesh)
        assert {plugin for _, plugin, _ in core.compiled} == plugins
    folder = Path(core.compiled[-1][2]["CACHE_DIR"])
    assert folder.parent == cache / "openvino"
    assert folder == Path(core.compiled[0][2]["CACHE_DIR"])
    assert open_face_runtime(bundle, "CPU", "npu").identity.device == "cpu"
    assert open_face_runtime(bundle, "auto", "gpu").identity.device == "cpu"  # which this runtime lacks


def test_a_device_that_refuses_the_graph_is_named(bundle: Bundle, core: type[FakeCore]) -> None:
    manifest = bundle.manifest.model_copy(update={"execution": {"npu": {"refused": "1"}}})
    runtime = open_face_runtime(Bundle(bundle.path, manifest), "npu", "cpu")
    with pytest.raises(DeviceError, match="no such layer"):
        runtime.compiled(bundle.path / "face/mesh.onnx")


def test_a_cuda_that_does_not_load_is_an_error(onnx_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime would take the CPU instead, without an error."""
    monkeypatch.setattr(onnxruntime_engine, "devices", lambda: ("cpu", "cuda", "tensorrt"))
    monkeypatch.setattr(nvidia, "gpu", lambda: ("Orin", "540.4.0"))
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda file, **options: real(file, options["sess_options"])
    )
    runtime = open_face_runtime(onnx_bundle, "auto", "tensorrt")
    assert runtime.identity.device == "cuda"
    with pytest.raises(DeviceError, match="CUDAExecutionProvider"):
        runtime.compiled(onnx_bundle.path / "face/near.onnx")


@pytest.mark.parametrize(
    ("device", "error"), [("warp", ConfigError), ("npu", DeviceError), ("cuda", DeviceError)]
)
def test_a_device_that_is_not_here_is_an_error(
    bundle: Bundle, onnx_bundle: Bundle, device: str, error: type[Exception]
) -> None:
    for each in (bundle, onnx_bundle):
        with pytest.raises(error, match=f"--face-device '?{device}"):
            open_face_finder(PipelineConfig(), each, device=device)


def test_a_bundle_without_a_pack_is_searched_on_the_cpu_alone(tmp_path: Path) -> None:
    bare = make_bundle(tmp_path / "bare")
    with pytest.raises(DeviceError, match="--face-device npu"):
        open_face_finder(PipelineConfig(), bare, device="npu")
    open_face_finder(PipelineConfig(), bare, device="cpu").close()


def test_an_untested_pack_is_taken_as_it_is(bundle: Bundle) -> None:
    """A pack of a development version had no self-test."""
    face = bundle.manifest.face
    assert face is not None
    manifest = bundle.manifest.model_copy(update={"face": face.model_copy(update={"self_test": None})})
    require_face_trust(Bundle(bundle.path, manifest), _changed(bundle, _nan), QUIET)


def test_the_finder_finds_with_the_bundles_pack(bundle: Bundle) -> None:
    with open_face_finder(PipelineConfig(), bundle) as finder:
        assert len(finder.find(_picture(bundle))) == 1
