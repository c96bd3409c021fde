"""What ``doctor`` finds of devices: their runtimes and drivers, and the next step towards each target."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timezone
from pathlib import Path

from s2d_edge.contracts.bundle import BUILD_SCRIPT, BUNDLES, find_bundles
from s2d_edge.firmware_host.engines import nvidia
from s2d_edge.firmware_host.engines.exact_int8 import sums_overflow
from s2d_edge.firmware_host.engines.plans import NoPlanError, find_plan
from s2d_edge.verbs.findings import Finding

# openvinotoolkit/openvino issue 37264: with the Linux driver 1.10.0.20241107 none of 500 answers of a
# transformer were right, with 1.24.0.20251003 they were; of those between nothing is known.
_FOUND_WRONG = date(2024, 11, 7)
_FOUND_RIGHT = date(2025, 10, 3)
_RIGHT_NAME = "1.24.0 (2025-10-03)"
# Issue 36852: the Windows driver 32.0.100.4724, which OpenVINO numbers so, answers garbage at times.
_WRONG_ON_WINDOWS = 1004724
_FIRST_BUILD_TIME = 1_000_000_000  # smaller numbers are Windows drivers, not seconds since 1970

_ELSEWHERE = "not on this machine: export and calibrate here, run there"
_SELFTEST = "before trusting it: s2d-edge selftest BUNDLE --device {}"


def openvino_findings() -> list[Finding]:
    """OpenVINO with its devices and their drivers, and what is known of an NPU's driver."""
    try:
        import openvino

        from s2d_edge.firmware_host.engines.openvino_engine import driver_version
    except ImportError:
        return [
            Finding(part="OpenVINO", ready=False, found="not installed", next_step="pip install openvino")
        ]
    core = openvino.Core()
    devices, npu = [], []
    for name in core.available_devices:
        full = str(core.get_property(name, "FULL_DEVICE_NAME")).strip()
        kind = name.split(".")[0]
        driver = driver_version(core, "npu" if kind == "NPU" else "gpu", name) if kind != "CPU" else ""
        told = f", driver {driver}" if driver else ""
        if kind == "CPU" and sums_overflow():
            told += ", without VNNI: INT8 is computed in FP32"
        devices.append(f"{name} ({full}{told})")
        if kind == "NPU":
            npu.append(npu_driver_finding(driver))
    version = openvino.__version__.split("-")[0]
    found = Finding(part="OpenVINO", ready=bool(devices), found=f"{version}: {', '.join(devices)}")
    return [found, *npu]


def npu_driver_finding(driver: str) -> Finding:
    """What is known of an NPU driver by the number OpenVINO gives: on Linux, when it was built."""
    check = _SELFTEST.format("npu")
    number = int(driver) if driver.isdecimal() else 0
    if number == _WRONG_ON_WINDOWS:
        return Finding(
            part="NPU driver",
            ready=False,
            found="32.0.100.4724, known to answer wrongly (openvinotoolkit/openvino issue 36852)",
            next_step=f"install another version; {check}",
        )
    if number < _FIRST_BUILD_TIME:
        return Finding(part="NPU driver", ready=True, found=driver or "of unknown version", next_step=check)
    built = datetime.fromtimestamp(number, timezone.utc).date()
    if built >= _FOUND_RIGHT:
        return Finding(part="NPU driver", ready=True, found=f"built {built}", next_step=check)
    known = "known to answer transformers wrongly" if built <= _FOUND_WRONG else "not known to answer rightly"
    return Finding(
        part="NPU driver",
        ready=False,
        found=f"built {built}, {known} (openvinotoolkit/openvino issue 37264)",
        next_step=f"update it to {_RIGHT_NAME} or later; {check}",
    )


def nvidia_finding() -> Finding:
    """GPU, driver, Jetson Linux, CUDA and TensorRT, as far as there are any."""
    name, driver = nvidia.gpu()
    parts = {
        "": f"{name}{f', driver {driver}' if driver else ''}" if driver else "",
        "Jetson Linux": nvidia.jetson_linux(),
        "CUDA": nvidia.cuda(),
        "TensorRT": nvidia.tensorrt(),
    }
    found = ", ".join(f"{what} {version}".strip() for what, version in parts.items() if version)
    return Finding(part="NVIDIA", ready=bool(driver), found=found or "no GPU, CUDA or TensorRT")


def target_findings(openvino: str, onnx: str) -> list[Finding]:
    """For each kind of device: can this machine run its bundles on the device itself, and if not, why?

    Args:
        openvino: what was found of OpenVINO.
        onnx: what was found of ONNX Runtime.
    """
    devices = set(re.findall(r"(?:^|[:,] )([A-Z]+)[.0-9]* \(", openvino))
    tensorrt, cuda = (f"{name}ExecutionProvider" in onnx for name in ("Tensorrt", "CUDA"))
    planned, build = _plan_step()
    runtimes = "pip install openvino, or pip install 's2d-edge[ort]'"
    checks: tuple[tuple[str, bool, Callable[[], str]], ...] = (
        (
            "jetson",
            tensorrt or cuda or planned,
            lambda: build or _step_to_tensorrt(cuda=cuda, tensorrt=tensorrt or planned),
        ),
        ("intel-npu", "NPU" in devices, lambda: _step_to_npu("NPU" in devices)),
        ("intel-gpu", "GPU" in devices, lambda: _step_to_gpu("GPU" in devices)),
        ("intel-cpu", "CPU" in devices, lambda: "" if "CPU" in devices else "pip install openvino"),
        ("cpu", "CPU" in devices or "CPU" in onnx, lambda: "" if devices or "CPU" in onnx else runtimes),
    )
    return [
        Finding(
            part=f"target {target}",
            ready=here,
            found="its runtime sees the device" if here else "its runtime sees no such device",
            next_step=next_step(),
        )
        for target, here, next_step in checks
    ]


def _plan_step() -> tuple[bool, str]:
    """Whether the newest jetson bundle here has a plan for this machine; if TensorRT could build it, how."""
    if nvidia.tensorrt():
        for path, manifest in find_bundles(BUNDLES):
            if BUILD_SCRIPT in manifest.files:
                try:
                    return bool(find_plan(manifest)), ""
                except NoPlanError:
                    return False, f"sh {path / BUILD_SCRIPT}"
    return False, ""


def _step_to_tensorrt(*, cuda: bool, tensorrt: bool) -> str:
    if tensorrt:
        return _SELFTEST.format("tensorrt")
    if cuda:
        return f"{_SELFTEST.format('cuda')}; TensorRT is faster: install an ONNX Runtime built with it"
    if nvidia.jetson_linux():
        return "pip uninstall onnxruntime; then install NVIDIA's onnxruntime-gpu wheel"
    if nvidia.gpu()[1]:
        return "pip uninstall onnxruntime; pip install 's2d-edge[ort-cuda]'"
    return _ELSEWHERE


def _step_to_npu(here: bool) -> str:
    if here:
        return _SELFTEST.format("npu")
    nodes = sorted(Path("/dev/accel").glob("accel*"))
    packages = "intel-driver-compiler-npu, intel-fw-npu and intel-level-zero-npu"
    return _step_to_node(nodes, f"install Intel's {packages} (github.com/intel/linux-npu-driver)")


def _step_to_gpu(here: bool) -> str:
    if here:
        return _SELFTEST.format("gpu")
    intel = [
        Path("/dev/dri") / card.parent.parent.name
        for card in sorted(Path("/sys/class/drm").glob("renderD*/device/vendor"))
        if _text(card) == "0x8086"
    ]
    return _step_to_node(intel, "apt-get install intel-opencl-icd")


def _step_to_node(nodes: Sequence[Path], install: str) -> str:
    """The kernel has the device, but OpenVINO does not see it: rights, or a driver in user space."""
    if not nodes:
        return _ELSEWHERE
    if not os.access(nodes[0], os.R_OK | os.W_OK):
        return f"{nodes[0]} is there but not for you: sudo usermod -aG render $USER, and log in again"
    return f"{nodes[0]} is there but OpenVINO does not see it: {install}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
