"""TensorRT's own engine on stand-ins for TensorRT and CUDA. None of it ran on a device.

The plans are built by the bundle's own script, with a stand-in for trtexec.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest

from s2d_edge.contracts.bundle import Bundle, open_bundle, seal
from s2d_edge.core.errors import BundleError, DeviceError, MissingExtraError
from s2d_edge.deploy.jetson import write_build_script
from s2d_edge.firmware_host.engines import Fit, fit_of, onnxruntime_engine, open_engine
from s2d_edge.firmware_host.engines.plans import NoPlanError, find_plan, plan_folder
from tests.deploy import trtexec
from tests.firmware_host import fake_nvidia
from tests.firmware_host.graphs import make_bundle, make_stream_bundle


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def window(tmp_path: Path) -> Bundle:
    made = make_bundle(tmp_path / "b", graph="model.onnx", target="jetson")
    write_build_script(made.path, "b", "fp32")
    seal(made.path, made.manifest)
    return open_bundle(made.path)


@pytest.fixture
def stream(tmp_path: Path) -> Bundle:
    made = make_stream_bundle(tmp_path / "s")
    write_build_script(made.path, "s", "fp32")
    seal(made.path, made.manifest)
    return open_bundle(made.path)


def build(bundle: Bundle, folder: Path, **machine: object) -> Path:
    """Run the bundle's script with a stand-in trtexec; returns the record it wrote."""
    trtexec.install(folder / "bin", **machine)  # type: ignore[arg-type]
    subprocess.run(
        ["sh", str(bundle.path / "build_engine.sh"), "--force"],
        env=os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    folder = plan_folder(bundle.manifest.files["model.onnx"])
    return max(folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)


def clips(bundle: Bundle, count: int) -> list[np.ndarray]:  # type: ignore[type-arg]
    spec = bundle.manifest.spec
    shape = (count, 1, spec.frames, spec.size, spec.size, 3)
    return list(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.slow(seconds=2)
def test_a_plan_has_the_graph_s_logits(
    window: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = build(window, tmp_path)
    _, cuda = fake_nvidia.install(monkeypatch)
    with open_engine(window, "tensorrt") as engine, open_engine(window, "cpu") as reference:
        assert engine.identity.device == "tensorrt"
        assert engine.identity.runtime.startswith("TensorRT 10.3.0, plan ")
        assert (engine.identity.name, engine.identity.driver) == ("Orin", "540.4.0")
        assert engine.description == f"b: FP32 on TensorRT 10.3.0, Orin (plan {record.stem}.plan)"
        for clip in clips(window, 3):
            np.testing.assert_array_equal(engine.infer(clip), reference.infer(clip))
        assert (cuda.uploads, cuda.downloads) == (3, 3)
    with pytest.raises(DeviceError, match="closed"):
        engine.infer(clips(window, 1)[0])
    del engine
    gc.collect()
    assert not cuda.blocks  # nothing of the device's memory is left behind
    assert not cuda.streams


def test_a_stream_keeps_its_rings_on_the_device(
    stream: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(stream, tmp_path)
    _, cuda = fake_nvidia.install(monkeypatch)
    clip = np.concatenate(clips(stream, 3), axis=1)
    with open_engine(stream, "tensorrt") as engine, open_engine(stream, "cpu") as reference:
        faces, wanted = [engine.open_stream() for _ in range(2)], [reference.open_stream() for _ in range(2)]
        held = len(cuda.blocks)
        for number in range(clip.shape[1]):
            if number == 5:
                continue  # a lost sample
            # Two faces through one plan, each with a past of its own; the second starts later.
            for face, other in [*zip(faces, wanted, strict=True)][: 1 + (number > 2)]:
                frame = np.ascontiguousarray(clip[:, number] if face is faces[0] else 255 - clip[:, number])
                np.testing.assert_array_equal(face.step(frame, number), other.step(frame, number))
        assert len(cuda.blocks) == held  # nothing is allocated for a frame
        assert cuda.downloads == cuda.uploads // 2  # logits alone come back
        for face, other in zip(faces, wanted, strict=True):
            found, kept = face.feed(frame, 99), other.feed(frame, 99)
            assert found.keys() == kept.keys()
            for name in found:
                np.testing.assert_array_equal(found[name], kept[name])
        faces[0].reset()
        wanted[0].reset()
        np.testing.assert_array_equal(faces[0].step(frame, 0), wanted[0].step(frame, 0))


def test_auto_takes_the_plan_on_a_jetson_without_onnx_runtime(
    window: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(window, tmp_path)
    fake_nvidia.install(monkeypatch)
    monkeypatch.setitem(sys.modules, "s2d_edge.firmware_host.engines.onnxruntime_engine", None)
    import s2d_edge.firmware_host.engines as engines

    monkeypatch.delattr(engines, "onnxruntime_engine", raising=False)

    class Missing:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "s2d_edge.firmware_host.engines.onnxruntime_engine":
                raise MissingExtraError("onnxruntime", "ort", "running an ONNX bundle (model.onnx)")

    monkeypatch.delitem(sys.modules, "s2d_edge.firmware_host.engines.onnxruntime_engine")
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    assert fit_of(window.manifest) is Fit.AT_HOME
    with open_engine(window) as engine:
        assert engine.description.endswith("(auto: the target of this jetson bundle)")
        assert "on TensorRT 10.3.0" in engine.description
    plan_folder(window.manifest.files["model.onnx"]).rename(tmp_path / "gone")
    with pytest.raises(MissingExtraError, match="onnxruntime"):
        open_engine(window)


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"version": "10.4.0"}, r"10\.3\.0.* 10\.4\.0"),
        ({"name": "Thor"}, r"Orin, .*Thor"),
        ({"multiprocessors": 16}, r"multiprocessors: 8, .*16"),
    ],
)
def test_a_plan_for_another_machine_is_not_used(
    window: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: dict[str, object], reason: str
) -> None:
    build(window, tmp_path)
    fake_nvidia.install(monkeypatch, **machine)  # type: ignore[arg-type]
    with pytest.raises(NoPlanError, match=f"Orin-nvgpu--trt10.3.0 .*{reason}"):
        find_plan(window.manifest)
    with pytest.raises(DeviceError, match=reason):
        open_engine(window, "tensorrt")


def test_the_plan_that_fits_is_found_among_others(
    window: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = build(window, tmp_path)
    build(window, tmp_path, number=100700)
    (right.parent / "noise.json").write_text("{}")
    fake_nvidia.install(monkeypatch)
    assert find_plan(window.manifest).path == right.with_suffix(".plan")


def test_pip_s_longer_version_of_tensorrt_is_the_same(
    window: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(window, tmp_path, number=101300)
    fake_nvidia.install(monkeypatch, version="10.13.0.35")
    with open_engine(window, "tensorrt") as engine:
        engine.infer(clips(window, 1)[0])


def test_plans_are_not_trusted_blindly(
    window: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = build(window, tmp_path)
    package, _ = fake_nvidia.install(monkeypatch)
    plan = record.with_suffix(".plan")
    whole = plan.read_bytes()
    plan.write_bytes(whole[:-1])
    with pytest.raises(DeviceError, match=r"\.plan"):
        open_engine(window, "tensorrt")
    plan.unlink()
    with pytest.raises(DeviceError, match="--force"):
        open_engine(window, "tensorrt")
    plan.write_bytes(whole)
    original = json.loads(record.read_text())
    for change, reason in (
        ({"model_sha256": "0" * 64}, "another model.onnx"),
        ({"graph": "model_fp16.onnx"}, "another model_fp16.onnx"),
        ({"format": 2}, record.name),
        ({"extra": 1}, record.name),
    ):
        record.write_text(json.dumps(original | change))
        with pytest.raises(DeviceError, match=reason):
            open_engine(window, "tensorrt")
    record.write_text(json.dumps(original))
    open_engine(window, "tensorrt").close()
    # TensorRT has the last word, and says it in its own.
    package.__version__ = "10.2.0"
    with pytest.raises(DeviceError, match="deserializeCudaEngine: Error Code 1: Serialization"):
        open_engine(window, "tensorrt")


def test_a_plan_of_other_tensors_is_refused(
    window: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = build(window, tmp_path)
    package, _ = fake_nvidia.install(monkeypatch)
    other = make_bundle(tmp_path / "c", graph="model.onnx", frames=5)
    plan = record.with_suffix(".plan")
    package.format = package.TensorFormat.HWC
    with pytest.raises(BundleError, match="'clip'"):
        open_engine(window, "tensorrt")
    package.format = package.TensorFormat.LINEAR
    plan.write_text(f"PLAN 100300 {other.graph_path}")
    changed = json.loads(record.read_text()) | {"plan_sha256": hashlib.sha256(plan.read_bytes()).hexdigest()}
    record.write_text(json.dumps(changed))
    with pytest.raises(BundleError, match=r"'clip' is uint8 \(1, 5, 48, 48, 3\)"):
        open_engine(window, "tensorrt")


def test_errors_of_cuda_and_tensorrt_are_reported(
    window: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(window, tmp_path)
    package, cuda = fake_nvidia.install(monkeypatch)
    engine = open_engine(window, "tensorrt")
    package.fails = True
    with pytest.raises(DeviceError, match="execute_async_v3"):
        engine.infer(clips(window, 1)[0])
    cuda.memory = 1
    with pytest.raises(DeviceError, match="cudaMallocHost"):
        open_engine(window, "tensorrt")
    cuda.memory = 0
    with pytest.raises(DeviceError, match="CUDA initialization failure with error: 2"):
        open_engine(window, "tensorrt")
    with pytest.raises(DeviceError, match="trtexec"):
        open_engine(window, "tensorrt", profile=True)


def test_without_a_plan_onnx_runtime_s_provider_is_used_and_reported(
    window: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = onnxruntime.InferenceSession

    class OnTheCpu:
        def __init__(self, file: str, **_: object) -> None:
            self._real = real(file, providers=["CPUExecutionProvider"])

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

        def get_providers(self) -> list[str]:
            return ["TensorrtExecutionProvider"]

        def get_provider_graph_assignment_info(self) -> list[object]:
            return []

    fake_nvidia.install(monkeypatch)
    monkeypatch.setattr(onnxruntime, "InferenceSession", OnTheCpu)
    monkeypatch.setattr(onnxruntime_engine, "devices", lambda: ("cpu", "cuda", "tensorrt"))
    with open_engine(window, "tensorrt") as engine:
        assert "TensorrtExecutionProvider" in engine.description
        assert engine.description.endswith(
            "(through ONNX Runtime: no plan was built by the bundle's build_engine.sh)"
        )


@pytest.mark.parametrize("package", [None, ModuleType("tensorrt")], ids=["absent", "an empty folder"])
def test_a_plan_without_the_python_package(
    window: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: ModuleType | None
) -> None:
    build(window, tmp_path)
    fake_nvidia.install(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", package)
    with pytest.raises(DeviceError, match="--system-site-packages"):
        open_engine(window, "tensorrt")
