"""The engine of OpenVINO: Intel CPUs, GPUs and NPUs. Imported only when a bundle's graph is ``model.xml``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Bundle, EngineIdentity, Manifest
from s2d_edge.contracts.engine import Clip, Frame, Logits
from s2d_edge.core.caches import ensure_home
from s2d_edge.core.errors import BundleError, DeviceError, MissingExtraError
from s2d_edge.core.openvino_core import openvino_core
from s2d_edge.core.processor import processor
from s2d_edge.firmware_host.engines.base import Device, GraphEngine, GraphTensor, NodeTime
from s2d_edge.firmware_host.engines.caches import compiled_folder, intact
from s2d_edge.firmware_host.engines.exact_int8 import openvino_properties
from s2d_edge.firmware_host.engines.stream import RingMemory
from s2d_edge.firmware_host.selftest.agreement import Arithmetic

ensure_home()
try:
    import openvino
except ModuleNotFoundError as error:
    raise MissingExtraError("openvino", "train", "running an OpenVINO bundle (model.xml)") from error

PLUGINS: dict[Device, str] = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU"}
_DRIVERS: dict[Device, str] = {"gpu": "GPU_DRIVER_VERSION", "npu": "NPU_DRIVER_VERSION"}
_DTYPES = {"u8": "uint8", "i32": "int32", "f32": "float32"}


def devices() -> tuple[Device, ...]:
    """Return the devices OpenVINO sees on this machine."""
    seen = {name.split(".")[0] for name in openvino_core().available_devices}
    return tuple(device for device, plugin in PLUGINS.items() if plugin in seen)


def driver_version(core: Any, device: Device, plugin: str | None = None) -> str:
    """Return the version of a device's driver as OpenVINO gives it; empty for a CPU, or where it gives none.

    Args:
        plugin: OpenVINO's name of the device, where there are several of the kind.
    """
    if device not in _DRIVERS:
        return ""
    try:
        return str(core.get_property(plugin or PLUGINS[device], _DRIVERS[device]))
    except RuntimeError:
        return ""


def identity_of(core: Any, device: Device) -> EngineIdentity:
    """Return the runtime, device and driver that the logits may depend on.

    Raises:
        RuntimeError: OpenVINO sees no such device.
    """
    name = f"{core.get_property(PLUGINS[device], 'FULL_DEVICE_NAME')}".strip()
    return EngineIdentity(
        runtime=f"OpenVINO {openvino.__version__}",
        device=device,
        name=processor() if device == "cpu" else name,
        driver=driver_version(core, device),
    )


class OpenVINOEngine(GraphEngine):
    """A compiled OpenVINO graph."""

    def __init__(
        self,
        bundle: Bundle,
        device: Device,
        threads: int | None = None,
        *,
        profile: bool = False,
        keep: bool = False,
    ) -> None:
        """Compile the bundle's graph for ``device``, with the manifest's ``execution`` for it as properties.

        What a GPU or NPU compiles, which takes long, is kept in the user's cache folder; what a CPU compiles,
        with ``keep``.

        Raises:
            DeviceError: the device refuses the graph or a property.
            BundleError: the graph cannot be read, or differs from the manifest.
        """
        super().__init__(bundle)
        core = openvino_core()
        plugin = PLUGINS[device]
        try:
            model = core.read_model(bundle.graph_path)
        except (RuntimeError, UnicodeDecodeError) as error:
            raise BundleError(
                f"{bundle.path}: OpenVINO cannot read the graph ({brief(error)}); export the bundle again"
            ) from None
        self._check_graph(_tensors(model.inputs), _tensors(model.outputs))
        properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"} | self._manifest.execution.get(
            device, {}
        )
        if self._manifest.precision == "int8" and device == "cpu":
            properties |= openvino_properties()
        if threads is not None and device == "cpu":
            properties["INFERENCE_NUM_THREADS"] = threads
        if profile:
            properties["PERF_COUNT"] = True
        try:
            self._name = f"{core.get_property(plugin, 'FULL_DEVICE_NAME')}".strip()
            self._identity = identity_of(core, device)
            folder = None
            if (keep or device != "cpu") and not profile:
                folder = compiled_folder("openvino", self._manifest, self._identity)
            if folder is None:
                self._compiled = core.compile_model(model, plugin, properties)
            else:
                with intact(folder, "*.blob"):
                    self._compiled = core.compile_model(
                        model, plugin, properties | {"CACHE_DIR": str(folder)}
                    )
            used = self._compiled.get_property("EXECUTION_DEVICES")
        except RuntimeError as error:
            raise DeviceError(
                f"OpenVINO's {plugin} refuses {bundle.path} ({brief(error)}); "
                "use another --device, or export for another target"
            ) from None
        if {name.split(".")[0] for name in used} != {plugin}:
            raise DeviceError(
                f"OpenVINO runs {bundle.path} on {', '.join(used)}, not on the requested {plugin}; "
                "use another --device"
            )
        self._plugin = plugin
        self._request = self._compiled.create_infer_request()

    @property
    def identity(self) -> EngineIdentity:
        return self._identity

    @property
    def arithmetic(self) -> Arithmetic:
        if self._manifest.precision == "int8":
            return "int8" if self._identity.device == "cpu" else "int8 and more"
        try:
            exact = self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
        except RuntimeError:
            exact = False  # it does not say
        return "fp32" if exact else "16-bit"

    def time_nodes(self, predict: Callable[[], object], rounds: int) -> list[NodeTime]:
        spans: dict[str, list[float]] = {}
        kinds: dict[str, str] = {}
        for number in range(rounds + 1):
            predict()
            if number == 0:
                continue
            for node in self._request.profiling_info:
                if node.real_time:
                    spans.setdefault(node.node_name, []).append(1000 * node.real_time.total_seconds())
                    kinds[node.node_name] = f"{node.node_type} {node.exec_type}"
        # OpenVINO runs what has weights under a name of its own, so a MatMul is a product of activations.
        return [
            NodeTime(kinds[name], float(np.median(found)), has_weights=False) for name, found in spans.items()
        ]

    def close(self) -> None:
        """Free the device."""
        self._request = None
        self._compiled = None

    def _run(self, clip: Clip) -> Logits:
        return self._infer({self._manifest.inputs[0].name: clip})[self._manifest.outputs[0].name]

    def _new_rings(self) -> RingMemory:
        return _HostRings(self._manifest, self._infer)

    def _infer(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the graph on arrays that it reads in place; its outputs are views until the next call."""
        if self._request is None:
            raise DeviceError("this engine is closed; open the bundle again")
        try:
            self._request.infer(feeds, share_inputs=True)
            return {each.name: self._request.get_tensor(each.name).data for each in self._manifest.outputs}
        except RuntimeError as error:
            raise DeviceError(f"OpenVINO failed on {self._plugin} ({brief(error)})") from None

    def _device_text(self) -> str:
        version = openvino.__version__.split("-")[0]
        return f"OpenVINO {version} {self._plugin}, {self._name}"


class _HostRings:
    """Rings in the host's memory, where the graph reads them; new slots are copied in after each step."""

    def __init__(
        self, manifest: Manifest, infer: Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]
    ) -> None:
        self._frame, self._age = (spec.name for spec in manifest.inputs[:2])
        self._logits, *self._new = (spec.name for spec in manifest.outputs)
        self._rings = {ring.name: np.zeros(ring.shape, ring.dtype) for ring in manifest.rings}
        self._axes = [ring.slot_axis for ring in manifest.rings]
        self._infer = infer

    def step(self, frame: Frame, age: NDArray[np.int32], slot: int) -> Logits:
        feeds: dict[str, NDArray[Any]] = {self._frame: frame, self._age: age, **self._rings}
        outputs = self._infer(feeds)
        for ring, new, axis in zip(self._rings.values(), self._new, self._axes, strict=True):
            ring[(slice(None),) * axis + (slot,)] = outputs[new].squeeze(axis)
        return outputs[self._logits]

    def copies(self) -> dict[str, NDArray[Any]]:
        return {name: ring.copy() for name, ring in self._rings.items()}


def _tensors(ports: Any) -> list[GraphTensor]:
    return [
        GraphTensor(
            names=frozenset(port.get_names()),
            shape=tuple(size.get_length() if size.is_static else None for size in port.partial_shape),
            dtype=_DTYPES.get(port.element_type.get_type_name(), port.element_type.get_type_name()),
        )
        for port in ports
    ]


def brief(error: BaseException) -> str:
    """Return the last line of an OpenVINO error; the lines before it name its source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
