"""``doctor`` on machines this one is not: drivers, boards and device nodes made by hand."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import EXPERIMENTAL, EXPERIMENTAL_TARGETS, seal
from s2d_edge.deploy.jetson import write_build_script
from s2d_edge.firmware_host.engines import nvidia
from s2d_edge.verbs import doctor_devices, doctor_report
from s2d_edge.verbs.doctor_devices import (
    OpenVINODevice,
    Runtimes,
    diagnose_npu_driver,
    diagnose_nvidia,
    diagnose_openvino,
    diagnose_targets,
)
from tests.deploy import trtexec
from tests.firmware_host import fake_nvidia
from tests.firmware_host.graphs import make_bundle
from tests.verbs.command import run

_R36 = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8\n"
_INTEL_CPU = Runtimes(
    openvino="2026.4.1",
    devices=(OpenVINODevice(name="CPU", full_name="x"),),
    onnxruntime="1.31",
    providers=("CPUExecutionProvider",),
)


def _onnx(*providers: str) -> Runtimes:
    """A machine with ONNX Runtime alone."""
    return Runtimes(onnxruntime="1.31", providers=tuple(f"{name}ExecutionProvider" for name in providers))


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine without anything of NVIDIA's; files under the folder returned stand for the system's."""
    for name in ("_TEGRA_RELEASE", "_BOARD", "_KERNEL_MODULE"):
        monkeypatch.setattr(nvidia, name, tmp_path / name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(nvidia, "find_library", lambda name: None)
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    for cached in (nvidia.gpu, nvidia.tensorrt, nvidia.cuda):
        cached.cache_clear()
    yield tmp_path
    for cached in (nvidia.gpu, nvidia.tensorrt, nvidia.cuda):
        cached.cache_clear()


def _nvidia_smi(folder: Path, line: str) -> None:
    command = folder / "bin" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\necho '{line}'\n")
    command.chmod(command.stat().st_mode | stat.S_IEXEC)


def test_no_nvidia(bare: Path) -> None:
    diagnosis = diagnose_nvidia()
    assert (diagnosis.ready, diagnosis.found) == (False, "no GPU, CUDA or TensorRT")
    steps = {each.part: each for each in diagnose_targets(_INTEL_CPU)}
    assert "not on this machine" in steps["target jetson"].next_step
    assert steps["target cpu"].ready
    assert steps["target cpu"].next_step == ""


def test_openvino_s_devices_and_their_drivers_are_named() -> None:
    runtimes = Runtimes(
        openvino="2026.4.1",
        devices=(
            OpenVINODevice(name="CPU", full_name="a processor"),
            OpenVINODevice(name="GPU.1", full_name="Arc (A770), CPU (", driver="32.1"),
            OpenVINODevice(name="NPU", full_name="AI Boost", driver=_built(2025, 10, 3)),
        ),
    )
    devices, npu = diagnose_openvino(runtimes)
    assert devices.ready
    assert "GPU.1 (Arc (A770), CPU (, driver 32.1)" in devices.found
    assert npu.found == "built 2025-10-03"
    targets = {each.part: each for each in diagnose_targets(runtimes)}
    ready = {part.removeprefix("target ") for part, each in targets.items() if each.ready}
    assert ready == {"intel-npu", "intel-gpu", "intel-cpu", "cpu"}
    (absent,) = diagnose_openvino(Runtimes())
    assert (absent.ready, absent.found) == (False, "not installed")


def test_targets_that_never_met_their_device_are_marked() -> None:
    for each in diagnose_targets(_INTEL_CPU):
        target = each.part.removeprefix("target ")
        assert (EXPERIMENTAL in each.found) == (target in EXPERIMENTAL_TARGETS)


def test_desktop_gpu_with_a_cpu_runtime(bare: Path) -> None:
    _nvidia_smi(bare, "NVIDIA GeForce RTX 3060, 560.35.03")
    assert diagnose_nvidia().found == "NVIDIA GeForce RTX 3060, driver 560.35.03"
    jetson = diagnose_targets(_onnx("CPU"))[0]
    assert not jetson.ready
    assert "s2d-edge[ort-cuda]" in jetson.next_step


def test_jetson_without_and_with_its_runtime(bare: Path) -> None:
    _nvidia_smi(bare, "[N/A], 540.4.0")
    (bare / "_TEGRA_RELEASE").write_text(_R36)
    (bare / "_BOARD").write_text("NVIDIA Jetson Orin Nano Developer Kit\0")
    found = diagnose_nvidia().found
    assert found == "NVIDIA Jetson Orin Nano Developer Kit, driver 540.4.0, Jetson Linux R36.4.3"
    without = diagnose_targets(_onnx("CPU"))[0]
    assert "NVIDIA's onnxruntime-gpu" in without.next_step
    cuda_only = diagnose_targets(_onnx("CUDA", "CPU"))[0]
    assert cuda_only.ready
    assert "--device cuda" in cuda_only.next_step
    complete = diagnose_targets(_onnx("Tensorrt", "CUDA"))[0]
    assert complete.next_step == "before trusting it: s2d-edge selftest BUNDLE --device tensorrt"


def test_a_jetson_bundle_whose_plan_is_not_built_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    made = make_bundle(tmp_path / "bundles" / "b", graph="model.onnx", target="jetson")
    write_build_script(made.path, "b", "fp32")
    seal(made.path, made.manifest)
    fake_nvidia.install(monkeypatch)
    unbuilt = diagnose_targets(_onnx("CPU"))[0]
    assert (unbuilt.ready, unbuilt.next_step) == (False, "sh bundles/b/build_engine.sh")
    trtexec.install(tmp_path / "bin")
    environment = {"S2D_EDGE_CACHE": str(tmp_path / "cache"), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    subprocess.run(unbuilt.next_step.split(), env=environment, check=True, capture_output=True)
    built = diagnose_targets(_onnx("CPU"))[0]
    assert (built.ready, "--device tensorrt" in built.next_step) == (True, True)


def test_versions_come_from_the_libraries_where_there_is_no_package(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, version in ((100300, "10.3.0"), (101303, "10.13.3"), (8601, "8.6.1")):
        monkeypatch.setattr(nvidia, "_call_library", lambda library, function, number=number: number)
        nvidia.tensorrt.cache_clear()
        assert nvidia.tensorrt() == version


def _built(year: int, month: int, day: int) -> str:
    return str(int(datetime(year, month, day, 12, tzinfo=timezone.utc).timestamp()))


@pytest.mark.parametrize(
    ("driver", "ready", "words"),
    [
        (_built(2024, 11, 7), False, "2024-11-07, known "),
        (_built(2025, 1, 31), False, "2025-01-31, not known "),
        (_built(2025, 10, 3), True, "built 2025-10-03"),
        ("1004724", False, "issue 36852"),
        ("1003717", True, "1003717"),
        ("", True, "unknown"),
    ],
)
def test_npu_drivers(driver: str, ready: bool, words: str) -> None:
    diagnosis = diagnose_npu_driver(driver)
    assert diagnosis.ready is ready
    assert words in diagnosis.found
    assert "s2d-edge selftest BUNDLE --device npu" in diagnosis.next_step


def test_device_node_that_the_runtime_does_not_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "accel0"
    node.touch()
    step = doctor_devices._step_to_node([node], "install the driver")
    assert step == f"{node} is there but OpenVINO does not see it: install the driver"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "usermod -aG render" in doctor_devices._step_to_node([node], "install the driver")


def test_doctor_reports_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor", "--json", "-") == 0
    diagnoses = {each["part"]: each for each in json.loads(capsys.readouterr().out)}
    assert diagnoses["OpenCV"]["ready"]
    assert diagnoses["MediaPipe FaceMesh"]["ready"]
    assert diagnoses["target intel-cpu"]["ready"] == ("CPU" in diagnoses["OpenVINO"]["found"])


def test_damaged_bundles_and_runs_here_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctor_report._folders() == []
    make_bundle(Path("bundles/good"))
    (bundles,) = doctor_report._folders()
    assert (bundles.ready, bundles.found) == (True, "1 of 1 sound")
    cut = make_bundle(Path("bundles/cut")).graph_path
    cut.write_bytes(cut.read_bytes()[:-1])
    Path("runs/newer").mkdir(parents=True)
    Path("runs/newer/run.json").write_text('{"format_version": 99}')
    bundles, runs = doctor_report._folders()
    assert not bundles.ready
    assert "1 of 2 sound" in bundles.found
    assert "bundles/cut" in bundles.found
    assert not runs.ready
    assert "runs/newer/run.json" in runs.found
