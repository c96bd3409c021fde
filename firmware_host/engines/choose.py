"""Which device runs a bundle, and which bundle fits this machine."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import get_args

from s2d_edge import starter
from s2d_edge.contracts.bundle import MANIFEST, Bundle, Manifest, Target, find_bundles, read_manifest
from s2d_edge.core.errors import BundleError, ConfigError, DeviceError, MissingExtraError
from s2d_edge.firmware_host.engines import nvidia
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
# Of the starter's bundles, best first. GPUs and NPUs are for those who ask: a small model needs none, and
# their drivers may answer wrongly.
_STARTERS: tuple[Target, ...] = ("intel-cpu", "cpu", "jetson", "intel-gpu", "intel-npu")


class Fit(IntEnum):
    """How well a bundle fits this machine; more is better."""

    NOT_AT_ALL = 0
    ON_THE_CPU = 1
    AT_HOME = 2


def open_engine(
    bundle: Bundle, device: str = "auto", *, threads: int | None = None, profile: bool = False
) -> GraphEngine:
    """Load a bundle's graph on a device.

    Args:
        bundle: verified, from :func:`s2d_edge.contracts.bundle.open_bundle`.
        device: ``cpu``, ``gpu``, ``npu``, ``cuda``, ``tensorrt``, in any case; ``auto`` takes the bundle's
            target device where this machine has it, else the CPU, and the description says which and why.
        threads: limit of CPU threads.
        profile: have it time its nodes, which makes it slower.

    Raises:
        ConfigError: no such device name.
        MissingExtraError: the graph's runtime is not installed.
        DeviceError: this machine or runtime lacks the device, or it refuses the graph.
        BundleError: the graph is not what the manifest says.
    """
    manifest = bundle.manifest
    present = _devices_for(manifest)
    if device.lower() != "auto":
        wanted = _parse(device)
        if wanted not in present:
            raise DeviceError(
                f"--device {device}: {_runtime(manifest)} has no such device on this machine; it has "
                f"{', '.join(present)}{_unplanned(manifest) if wanted == 'tensorrt' else ''}"
            )
        return _open(bundle, wanted, threads, profile)
    home = _HOME[manifest.target]
    missing = []
    for candidate in home:
        if candidate not in present:
            missing.append(f"no {candidate}")
            continue
        try:
            engine = _open(bundle, candidate, threads, profile)
        except DeviceAbsentError:
            missing.append(f"{candidate} does not load")
            continue
        if home != ("cpu",):
            engine.explain(f"auto: the target of this {manifest.target} bundle")
        return engine
    engine = _open(bundle, "cpu", threads, profile)
    engine.explain(f"auto: made for {manifest.target}, but this machine has {' and '.join(missing)}")
    return engine


def choose_bundle(root: Path, device: str = "auto") -> Path:
    """The newest bundle under ``root`` that fits this machine, or its INT8 sibling.

    Bundles for a device this machine has go before those that would fall back to the CPU. Of the bundles
    made from the same run as the newest fitting one, in the same mode, an INT8 one is preferred.

    Raises:
        BundleError: no bundle under ``root``, only unreadable ones, or none that this machine can run on
            ``device``.
    """
    found = _readable(root)
    if not found:
        raise BundleError(
            f"there is no bundle under {root}/; make one with 's2d-edge export' and 's2d-edge calibrate', "
            "or name one"
        )
    fitting = _fitting(found, device, f"bundle under {root}/")
    newest_path, newest = fitting[0]
    siblings = [
        path
        for path, manifest in fitting
        if manifest.precision == "int8"
        and (manifest.source_run, manifest.mode) == (newest.source_run, newest.mode)
    ]
    return siblings[0] if siblings else newest_path


def choose_starter(device: str = "auto") -> Path:
    """The starter's bundle that fits this machine best.

    That is the CPU's; on a Jetson, or where OpenVINO is not installed, the Jetson's. A device that is asked
    for by name takes the one made for it, else one that its runtime can run there.

    Raises:
        BundleError: none is shipped, only unreadable ones, or none that this machine can run on ``device``.
    """
    found = _readable(starter.FOLDER)
    if not found:
        raise BundleError("this installation of s2d-edge ships no starter model; name a bundle of your own")
    jetson_first = bool(nvidia.jetson_linux())

    def rank(entry: tuple[Path, Manifest]) -> tuple[bool, bool, int]:
        target = entry[1].target
        made_for_it = device.lower() in _HOME[target]
        return not made_for_it, not (jetson_first and target == "jetson"), _STARTERS.index(target)

    return min(_fitting(found, device, f"bundle of the {starter.NAME}"), key=rank)[0]


def _readable(root: Path) -> list[tuple[Path, Manifest]]:
    """The bundles under ``root``, newest first; where none can be read, what is wrong with the first."""
    found = find_bundles(root)
    if not found:
        for file in sorted(root.glob(f"*/{MANIFEST}")):
            read_manifest(file.parent)
    return found


def _fitting(found: Sequence[tuple[Path, Manifest]], device: str, what: str) -> list[tuple[Path, Manifest]]:
    """Those of ``found`` that fit this machine best, in the same order.

    Raises:
        BundleError: none runs here on ``device``.
    """
    fits = [(fit_of(manifest, device), path, manifest) for path, manifest in found]
    best = max(fit for fit, _, _ in fits)
    if best is Fit.NOT_AT_ALL:
        kinds = ", ".join(sorted({f"{manifest.target} ({manifest.graph})" for _, manifest in found}))
        raise BundleError(
            f"no {what} runs on this machine with --device {device}: they are for {kinds}, "
            f"and their runtimes have {_devices_text([manifest for _, manifest in found])} here; "
            "choose another device, export for another target, or install the runtime"
        )
    return [(path, manifest) for fit, path, manifest in fits if fit is best]


def fit_of(manifest: Manifest, device: str = "auto") -> Fit:
    """How a bundle would run here: on the asked or its target device, on the CPU instead, or not at all."""
    try:
        present = _devices_for(manifest)
    except MissingExtraError:
        return Fit.NOT_AT_ALL
    if device.lower() != "auto":
        return Fit.AT_HOME if _parse(device) in present else Fit.NOT_AT_ALL
    return Fit.AT_HOME if set(_HOME[manifest.target]) & set(present) else Fit.ON_THE_CPU


def is_home(target: Target, device: str) -> bool:
    """Whether it is a device that bundles of this target are made for."""
    return device in _HOME[target]


def _parse(device: str) -> Device:
    for known in get_args(Device):
        if device.lower() == known:
            found: Device = known
            return found
    raise ConfigError(f"--device {device!r} is unknown; choose auto, {', '.join(get_args(Device))}")


def _is_openvino(manifest: Manifest) -> bool:
    return manifest.graph == "model.xml"


def _unplanned(manifest: Manifest) -> str:
    """Why TensorRT itself does not run a bundle, for the end of a sentence; empty for one not made for it."""
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
    """Devices of the graph's runtime. Imported here: a device carries one runtime, not both."""
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
    """A plan that TensorRT can run here without ONNX Runtime.

    Raises:
        NoPlanError: there is none, or no Python package to run it.
    """
    plan = find_plan(manifest)
    try:
        import s2d_edge.firmware_host.engines.tensorrt_engine  # noqa: F401
    except DeviceAbsentError as error:
        raise NoPlanError(str(error)) from None
    return plan


def _devices_text(manifests: Sequence[Manifest]) -> str:
    present: set[str] = set()
    for manifest in manifests:
        try:
            present.update(_devices_for(manifest))
        except MissingExtraError:
            continue
    return ", ".join(sorted(present)) or "no device, or are not installed"


def _open(bundle: Bundle, device: Device, threads: int | None, profile: bool) -> GraphEngine:
    if _is_openvino(bundle.manifest):
        from s2d_edge.firmware_host.engines.openvino_engine import OpenVINOEngine

        return OpenVINOEngine(bundle, device, threads, profile=profile)
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
