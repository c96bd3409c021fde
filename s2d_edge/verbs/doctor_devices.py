"""The part of ``doctor`` that looks at devices: runtimes, drivers, and the next step towards each target."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from pathlib import Path

from s2d_edge.contracts.bundle import (
    BUILD_SCRIPT,
    BUNDLES,
    EXPERIMENTAL,
    EXPERIMENTAL_TARGETS,
    Target,
    find_bundles,
)
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.firmware_host.engines import nvidia
from s2d_edge.firmware_host.engines.exact_int8 import int8_hindrance
from s2d_edge.firmware_host.engines.plans import NoPlanError, find_plan

# openvinotoolkit/openvino issue 37264: with the Linux driver 1.10.0.20241107 none of 500 predictions of a
# transformer were right, with 1.24.0.20251003 they were; of those between nothing is known.
_FOUND_WRONG = date(2024, 11, 7)
_FOUND_RIGHT = date(2025, 10, 3)
_RIGHT_NAME = "1.24.0 (2025-10-03)"
# Issue 36852: the Windows driver 32.0.100.4724, which OpenVINO numbers so, predicts garbage at times.
_WRONG_ON_WINDOWS = 1004724
_FIRST_BUILD_TIME = 1_000_000_000  # smaller numbers are Windows drivers, not seconds since 1970

_ELSEWHERE = "not on this machine: export and calibrate here, run there"
_SELFTEST = "before trusting it: s2d-edge selftest BUNDLE --device {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One line of ``doctor``'s report.

    Attributes:
        part: of the machine or of the toolkit.
        ready: whether it works.
        found: what is there.
        next_step: what to do where it is not ready; empty otherwise.
        needed: whether the toolkit is of no use without it.
    """

    part: str
    ready: bool
    found: str
    next_step: str = ""
    needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVINODevice:
    """A device that OpenVINO sees.

    Attributes:
        name: OpenVINO's own, such as ``CPU`` or ``GPU.1``.
        full_name: the product's.
        driver: its version as OpenVINO gives it; empty for a CPU and where it gives none.
    """

    name: str
    full_name: str
    driver: str = ""

    @property
    def kind(self) -> str:
        """``CPU``, ``GPU`` or ``NPU``."""
        return self.name.split(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtimes:
    """The runtimes that are installed, and the devices they see.

    Attributes:
        openvino: its version; None if it is not installed.
        devices: those that OpenVINO sees.
        onnxruntime: its version; None if it is not installed.
        providers: those that ONNX Runtime was built with, by their own names.
    """

    openvino: str | None = None
    devices: tuple[OpenVINODevice, ...] = ()
    onnxruntime: str | None = None
    providers: tuple[str, ...] = ()

    def sees(self, kind: str) -> bool:
        """Return whether OpenVINO sees a device of this kind: ``CPU``, ``GPU`` or ``NPU``."""
        return any(device.kind == kind for device in self.devices)

    def provides(self, name: str) -> bool:
        """Return whether ONNX Runtime has this provider: ``Tensorrt``, ``CUDA`` or ``CPU``."""
        return f"{name}ExecutionProvider" in self.providers


def installed_runtimes() -> Runtimes:
    """Import the runtimes that are installed, and list what they see."""
    openvino, devices = _openvino()
    try:
        import onnxruntime
    except ImportError:
        return Runtimes(openvino=openvino, devices=devices)
    return Runtimes(
        openvino=openvino,
        devices=devices,
        onnxruntime=str(onnxruntime.__version__),
        providers=tuple(onnxruntime.get_available_providers()),
    )


def _openvino() -> tuple[str | None, tuple[OpenVINODevice, ...]]:
    try:
        import openvino

        from s2d_edge.firmware_host.engines.openvino_engine import driver_version
    except ImportError:
        return None, ()
    core = openvino_core()
    devices = []
    for name in core.available_devices:
        device = OpenVINODevice(name=name, full_name=str(core.get_property(name, "FULL_DEVICE_NAME")).strip())
        if device.kind != "CPU":
            driver = driver_version(core, "npu" if device.kind == "NPU" else "gpu", name)
            device = replace(device, driver=driver)
        devices.append(device)
    return openvino.__version__.split("-")[0], tuple(devices)


def diagnose_openvino(runtimes: Runtimes) -> list[Diagnosis]:
    """Describe OpenVINO with its devices and their drivers, and what is known of an NPU's driver."""
    if runtimes.openvino is None:
        return [
            Diagnosis(part="OpenVINO", ready=False, found="not installed", next_step="pip install openvino")
        ]
    devices = ", ".join(_device_text(device) for device in runtimes.devices) or "no device"
    found = f"{runtimes.openvino}: {devices}"
    return [
        Diagnosis(part="OpenVINO", ready=bool(runtimes.devices), found=found),
        *(diagnose_npu_driver(device.driver) for device in runtimes.devices if device.kind == "NPU"),
    ]


def _device_text(device: OpenVINODevice) -> str:
    text = f"{device.full_name}, driver {device.driver}" if device.driver else device.full_name
    return f"{device.name} ({text})"


def diagnose_int8() -> Diagnosis:
    """Tell whether INT8 can be faster than FP32 on this machine's CPU, and what to run where it cannot."""
    hindrance = int8_hindrance()
    return Diagnosis(
        part="INT8 on the CPU",
        ready=not hindrance,
        found=hindrance or "usually faster than FP32; 's2d-edge benchmark' times both in one runtime",
        next_step="run FP32 bundles on this CPU; 's2d-edge benchmark' times both" if hindrance else "",
    )


def diagnose_onnxruntime(runtimes: Runtimes) -> Diagnosis:
    """Describe ONNX Runtime with its providers."""
    if runtimes.onnxruntime is None:
        return Diagnosis(
            part="ONNX Runtime",
            ready=False,
            found="not installed",
            next_step="pip install 's2d-edge[ort]'; on a Jetson, NVIDIA's wheel",
        )
    found = f"{runtimes.onnxruntime}: {', '.join(runtimes.providers)}"
    return Diagnosis(part="ONNX Runtime", ready=True, found=found)


def diagnose_npu_driver(driver: str) -> Diagnosis:
    """Say what is known of an NPU driver from the number OpenVINO gives: on Linux, when it was built."""
    check = _SELFTEST.format("npu")
    number = int(driver) if driver.isdecimal() else 0
    if number == _WRONG_ON_WINDOWS:
        return Diagnosis(
            part="NPU driver",
            ready=False,
            found="32.0.100.4724, known to compute wrongly (openvinotoolkit/openvino issue 36852)",
            next_step=f"install another version; {check}",
        )
    if number < _FIRST_BUILD_TIME:
        return Diagnosis(part="NPU driver", ready=True, found=driver or "of unknown version", next_step=check)
    built = datetime.fromtimestamp(number, timezone.utc).date()
    if built >= _FOUND_RIGHT:
        return Diagnosis(part="NPU driver", ready=True, found=f"built {built}", next_step=check)
    known = (
        "known to compute transformers wrongly"
        if built <= _FOUND_WRONG
        else "not known to compute them rightly"
    )
    return Diagnosis(
        part="NPU driver",
        ready=False,
        found=f"built {built}, {known} (openvinotoolkit/openvino issue 37264)",
        next_step=f"update it to {_RIGHT_NAME} or later; {check}",
    )


def diagnose_nvidia() -> Diagnosis:
    """Describe the GPU, its driver, Jetson Linux, CUDA and TensorRT, as far as there are any."""
    name, driver = nvidia.gpu()
    parts = {
        "": f"{name}{f', driver {driver}' if driver else ''}" if driver else "",
        "Jetson Linux": nvidia.jetson_linux(),
        "CUDA": nvidia.cuda(),
        "TensorRT": nvidia.tensorrt(),
    }
    found = ", ".join(f"{what} {version}".strip() for what, version in parts.items() if version)
    return Diagnosis(part="NVIDIA", ready=bool(driver), found=found or "no GPU, CUDA or TensorRT")


def diagnose_targets(runtimes: Runtimes) -> list[Diagnosis]:
    """Say for each target whether this machine can run its bundles on the device itself, and if not, why."""
    planned, build = _plan_step()
    tensorrt = runtimes.provides("Tensorrt") or planned
    cuda = runtimes.provides("CUDA")
    any_cpu = runtimes.sees("CPU") or runtimes.provides("CPU")
    install = "pip install openvino, or pip install 's2d-edge[ort]'"
    checks: tuple[tuple[Target, bool, Callable[[], str]], ...] = (
        ("jetson", tensorrt or cuda, lambda: build or _step_to_tensorrt(cuda=cuda, tensorrt=tensorrt)),
        ("intel-npu", runtimes.sees("NPU"), lambda: _step_to_npu(runtimes.sees("NPU"))),
        ("intel-gpu", runtimes.sees("GPU"), lambda: _step_to_gpu(runtimes.sees("GPU"))),
        ("intel-cpu", runtimes.sees("CPU"), lambda: "" if runtimes.sees("CPU") else "pip install openvino"),
        ("cpu", any_cpu, lambda: "" if any_cpu else install),
    )
    return [
        Diagnosis(
            part=f"target {target}",
            ready=here,
            found=("its runtime sees the device" if here else "its runtime sees no such device")
            + (f" ({EXPERIMENTAL})" if target in EXPERIMENTAL_TARGETS else ""),
            next_step=next_step(),
        )
        for target, here, next_step in checks
    ]


def _plan_step() -> tuple[bool, str]:
    """Return whether the newest jetson bundle here has a plan for this machine, and else how to build one."""
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
    """Return what is missing if the kernel has the device and OpenVINO does not see it."""
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
