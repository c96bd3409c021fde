"""Choose the device that runs a bundle, and open its engine there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum
from typing import get_args

from s2d_edge.contracts.bundle import Bundle, Manifest, Target
from s2d_edge.core.errors import ConfigError, DeviceError, MissingExtraError
from s2d_edge.firmware_host.engines.base import Device, DeviceAbsentError, GraphEngine
from s2d_edge.firmware_host.engines.plans import NoPlanError, Plan, find_plan

# What `auto` tries on a machine of the target's kind, best first.
_HOME: dict[Target, tuple[Device, ...]] = {
    "jetson": ("tensorrt", "cuda"),
    "intel-npu": ("npu",),
    "intel-gpu": ("gpu",),
    "intel-cpu": ("cpu",),
    "cpu": ("cpu",),
}


class Fit(IntEnum):
    """The fit of a bundle to this machine; a larger value is better."""

    NOT_AT_ALL = 0
    ON_THE_CPU = 1
    AT_HOME = 2


def open_engine(
    bundle: Bundle,
    device: str = "auto",
    *,
    threads: int | None = None,
    profile: bool = False,
    keep: bool = False,
) -> GraphEngine:
    """Load a bundle's graph on a device.

    Args:
        bundle: verified, from :func:`s2d_edge.contracts.bundle.open_bundle`.
        device: ``cpu``, ``gpu``, ``npu``, ``cuda``, ``tensorrt``, in any case; ``auto`` takes the bundle's
            target device where this machine has it, else the CPU, and the description says which and why.
        threads: limit of CPU threads.
        profile: prepare it for timing its nodes, which makes it slower.
        keep: cache the compiled graph for the next time even if the device is a CPU, for a bundle that will
            be opened again. What takes a GPU or NPU long is always cached.

    Raises:
        ConfigError: no such device name.
        MissingExtraError: the graph's runtime is not installed.
        DeviceError: this machine or runtime lacks the device, or it refuses the graph.
        BundleError: the graph is not what the manifest says.
    """
    manifest = bundle.manifest
    present = _devices_for(manifest)
    if device.lower() != "auto":
        wanted = parse_device(device)
        if wanted not in present:
            raise DeviceError(
                f"--device {device}: {_runtime(manifest)} has no such device on this machine; it has "
                f"{', '.join(present)}{_unplanned(manifest) if wanted == 'tensorrt' else ''}"
            )
        return _open(bundle, wanted, threads, profile, keep)
    home = _HOME[manifest.target]
    missing = []
    for candidate in home:
        if candidate not in present:
            missing.append(f"no {candidate}")
            continue
        try:
            engine = _open(bundle, candidate, threads, profile, keep)
        except DeviceAbsentError:
            missing.append(f"{candidate} does not load")
            continue
        if home != ("cpu",):
            engine.explain(f"auto: the target of this {manifest.target} bundle")
        return engine
    engine = _open(bundle, "cpu", threads, profile, keep)
    engine.explain(f"auto: made for {manifest.target}, but this machine has {' and '.join(missing)}")
    return engine


def fit_of(manifest: Manifest, device: str = "auto") -> Fit:
    """Return how a bundle would run here: on the requested or its target device, the CPU, or not at all."""
    try:
        present = _devices_for(manifest)
    except MissingExtraError:
        return Fit.NOT_AT_ALL
    if device.lower() != "auto":
        return Fit.AT_HOME if parse_device(device) in present else Fit.NOT_AT_ALL
    return Fit.AT_HOME if set(_HOME[manifest.target]) & set(present) else Fit.ON_THE_CPU


def is_home(target: Target, device: str) -> bool:
    """Return whether bundles of this target are made for the device."""
    return device.lower() in _HOME[target]


def require_device(device: str) -> None:
    """Check that a runtime of this machine has the device, before any bundle is chosen for it.

    Args:
        device: as ``--device`` gives it; ``auto`` always passes.

    Raises:
        ConfigError: no such device name.
        DeviceError: no installed runtime has the device here.
    """
    if device.lower() == "auto":
        return
    wanted, present = parse_device(device), machine_devices()
    if wanted not in present:
        raise DeviceError(
            f"--device {device}: this machine has no such device that an installed runtime can use; it has "
            f"{', '.join(present) or 'none'}: choose one of these, or see 's2d-edge doctor'"
        )


def machine_devices() -> tuple[Device, ...]:
    """Return the devices that the installed runtimes have here, whatever bundles there are."""
    present: set[Device] = set()
    with suppress(MissingExtraError):
        from s2d_edge.firmware_host.engines import openvino_engine

        present.update(openvino_engine.devices())
    with suppress(MissingExtraError):
        from s2d_edge.firmware_host.engines import onnxruntime_engine

        present.update(onnxruntime_engine.devices())
    with suppress(DeviceAbsentError):
        import s2d_edge.firmware_host.engines.tensorrt_engine  # noqa: F401

        present.add("tensorrt")
    return tuple(device for device in get_args(Device) if device in present)


def parse_device(device: str, option: str = "--device") -> Device:
    """Return the device of that name, in any case; ``auto`` is none.

    Args:
        option: where it was given.

    Raises:
        ConfigError: no such device name.
    """
    for known in get_args(Device):
        if device.lower() == known:
            found: Device = known
            return found
    raise ConfigError(f"{option} {device!r} is unknown; choose auto, {', '.join(get_args(Device))}")


def _is_openvino(manifest: Manifest) -> bool:
    return manifest.graph == "model.xml"


def _unplanned(manifest: Manifest) -> str:
    """Return why TensorRT itself does not run a bundle, as the end of a sentence; empty for other targets."""
    if manifest.target != "jetson":
        return ""
    try:
        _plan_for(manifest)
    except NoPlanError as error:
        return f"; TensorRT itself would run it, but {error}"
    return ""


def _runtime(manifest: Manifest) -> str:
    return "OpenVINO" if _is_openvino(manifest) else "ONNX Runtime"


def _devices_for(manifest: Manifest) -> tuple[Device, ...]:
    """Return the devices of the graph's runtime; imported here, since a device has one runtime, not both."""
    if _is_openvino(manifest):
        from s2d_edge.firmware_host.engines import openvino_engine

        return openvino_engine.devices()
    try:
        _plan_for(manifest)
    except NoPlanError:
        planned: tuple[Device, ...] = ()
    else:
        planned = ("tensorrt",)
    try:
        from s2d_edge.firmware_host.engines import onnxruntime_engine
    except MissingExtraError:
        if not planned:
            raise
        return planned
    present = onnxruntime_engine.devices()
    return (*present, *(device for device in planned if device not in present))


def _plan_for(manifest: Manifest) -> Plan:
    """Return a plan that TensorRT can run here without ONNX Runtime.

    Raises:
        NoPlanError: there is none, or no Python package to run it.
    """
    plan = find_plan(manifest)
    try:
        import s2d_edge.firmware_host.engines.tensorrt_engine  # noqa: F401
    except DeviceAbsentError as error:
        raise NoPlanError(str(error)) from None
    return plan


def devices_text(manifests: Sequence[Manifest]) -> str:
    """Return the devices that the runtimes of these bundles have here, for the middle of a sentence."""
    present: set[str] = set()
    for manifest in manifests:
        try:
            present.update(_devices_for(manifest))
        except MissingExtraError:
            continue
    return ", ".join(sorted(present)) or "no device, or are not installed"


def _open(bundle: Bundle, device: Device, threads: int | None, profile: bool, keep: bool) -> GraphEngine:
    if _is_openvino(bundle.manifest):
        from s2d_edge.firmware_host.engines.openvino_engine import OpenVINOEngine

        return OpenVINOEngine(bundle, device, threads, profile=profile, keep=keep)
    unplanned = ""
    if device == "tensorrt":
        try:
            plan = _plan_for(bundle.manifest)
        except NoPlanError as error:
            unplanned = str(error)
        else:
            from s2d_edge.firmware_host.engines.tensorrt_engine import TensorRTEngine

            return TensorRTEngine(bundle, plan, profile=profile)
    from s2d_edge.firmware_host.engines.onnxruntime_engine import ONNXRuntimeEngine

    engine = ONNXRuntimeEngine(bundle, device, threads, profile=profile)
    if unplanned:
        engine.explain(f"through ONNX Runtime: {unplanned}")
    return engine
