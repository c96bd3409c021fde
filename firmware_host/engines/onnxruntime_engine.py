"""ONNX Runtime: any CPU, NVIDIA GPUs through CUDA or TensorRT. Imported only for ``model.onnx``."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_host.engines.base import Device, DeviceAbsentError, GraphEngine, GraphTensor, NodeTime
from firmware_host.engines.stream import RingMemory
from s2d_edge.bundle import Bundle, Manifest
from s2d_edge.engine import Clip, Frame, Logits
from s2d_edge.errors import DeviceError, MissingExtraError

try:
    import onnxruntime
except ModuleNotFoundError as error:
    raise MissingExtraError("onnxruntime", "ort", "running an ONNX bundle (model.onnx)") from error

_PROVIDERS: dict[Device, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_DTYPES = {"tensor(uint8)": "uint8", "tensor(int32)": "int32", "tensor(float)": "float32"}
# Where a provider keeps tensors, as ONNX Runtime names it.
_MEMORY: dict[Device, str] = {"cpu": "cpu", "cuda": "cuda", "tensorrt": "cuda"}
_ERRORS_ONLY = 3


def devices() -> tuple[Device, ...]:
    """The devices the installed ONNX Runtime was built for; whether their libraries load shows on opening."""
    built = onnxruntime.get_available_providers()
    return tuple(device for device, provider in _PROVIDERS.items() if provider in built)


class ONNXRuntimeEngine(GraphEngine):
    """An ONNX Runtime session."""

    def __init__(
        self, bundle: Bundle, device: Device, threads: int | None = None, *, profile: bool = False
    ) -> None:
        """Open the bundle's graph on ``device``; the manifest's ``execution`` for it are provider options.

        Raises:
            DeviceError: the provider is missing, or refuses the graph.
            BundleError: the graph differs from the manifest.
        """
        super().__init__(bundle)
        provider = _PROVIDERS[device]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        self._trace = TemporaryDirectory() if profile else None
        if self._trace is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(self._trace.name) / "trace")
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            # Without ``enable_fallback=0`` a failed provider is replaced behind our back.
            self._session = onnxruntime.InferenceSession(
                str(bundle.graph_path),
                sess_options=options,
                providers=[(provider, self._manifest.execution.get(device, {}))],
                enable_fallback=0,
            )
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise DeviceError(
                f"ONNX Runtime's {provider} refuses {bundle.path} ({_brief(error)}); "
                "use another --device, or export for another target"
            ) from None
        used = self._session.get_providers()
        if provider not in used:
            raise DeviceAbsentError(
                f"ONNX Runtime could not load {provider} and offers {', '.join(used)} instead; "
                "install the driver and libraries it needs, or use another --device"
            )
        self._provider = provider
        self._memory = _MEMORY[device]
        self._check_graph(_tensors(self._session.get_inputs()), _tensors(self._session.get_outputs()))
        self._input = self._manifest.inputs[0].name
        self._output = self._manifest.outputs[0].name

    def time_nodes(self, answer: Callable[[], object], rounds: int) -> list[NodeTime]:
        for _ in range(rounds + 1):
            answer()
        events = json.loads(Path(self._session.end_profiling()).read_text(encoding="utf-8"))
        spans: dict[str, list[float]] = {}
        details: dict[str, tuple[str, bool]] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                spans.setdefault(event["name"], []).append(event["dur"] / 1000)
                detail = event["args"]
                # Weights are packed beforehand: only activations are left among the inputs.
                weights = len(detail["input_type_shape"]) < 2 or int(detail["parameter_size"]) > 0
                details[event["name"]] = (detail["op_name"], weights)
        # The first answers warm up, and those before a stream is full are more of the same.
        return [
            NodeTime(details[name][0], float(np.median(found[-rounds:])), details[name][1])
            for name, found in spans.items()
        ]

    def close(self) -> None:
        """Free the device."""
        self._session = None
        if self._trace is not None:
            self._trace.cleanup()

    def _run(self, clip: Clip) -> Logits:
        return np.asarray(self._try(lambda session: session.run([self._output], {self._input: clip}))[0])

    def _new_rings(self) -> RingMemory:
        return _DeviceRings(self._manifest, self._memory, self._try)

    def _try(self, use: Callable[[Any], Any]) -> Any:
        """What ``use`` makes of the session.

        Raises:
            DeviceError: the engine is closed, or the provider fails.
        """
        if self._session is None:
            raise DeviceError("this engine is closed; open the bundle again")
        try:
            return use(self._session)
        except Exception as error:  # as above
            raise DeviceError(f"ONNX Runtime failed on {self._provider} ({_brief(error)})") from None

    def _device_text(self) -> str:
        return f"ONNX Runtime {onnxruntime.__version__} {self._provider}"


class _DeviceRings:
    """Rings that stay in the device's memory, where the graph reads them and writes each new slot.

    The slot being written is one that the graph does not see in that step, so nothing is read half-written.
    """

    def __init__(
        self, manifest: Manifest, memory: str, with_session: Callable[[Callable[[Any], Any]], Any]
    ) -> None:
        self._manifest = manifest
        self._memory = memory
        self._with_session = with_session
        self._rings = [
            onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(ring.shape, ring.dtype), memory, 0)
            for ring in manifest.rings
        ]

    def step(self, frame: Frame, age: NDArray[np.int32], slot: int) -> Logits:
        return np.asarray(self._with_session(lambda session: self._step(session, frame, age, slot)))

    def _step(self, session: Any, frame: Frame, age: NDArray[np.int32], slot: int) -> Any:
        frame_spec, age_spec = self._manifest.inputs[:2]
        logits, *new = self._manifest.outputs
        binding = session.io_binding()
        binding.bind_cpu_input(frame_spec.name, frame)
        binding.bind_cpu_input(age_spec.name, age)
        for spec, out, ring in zip(self._manifest.rings, new, self._rings, strict=True):
            dtype, start = np.dtype(spec.dtype), ring.data_ptr()
            binding.bind_input(spec.name, self._memory, 0, dtype, spec.shape, start)
            offset = slot * prod(spec.shape[1:]) * dtype.itemsize
            binding.bind_output(out.name, self._memory, 0, dtype, out.shape, start + offset)
        binding.bind_output(logits.name)
        session.run_with_iobinding(binding)
        return binding.get_outputs()[-1].numpy()  # the logits alone leave the device

    def copies(self) -> dict[str, NDArray[Any]]:
        return {
            spec.name: ring.numpy().copy()
            for spec, ring in zip(self._manifest.rings, self._rings, strict=True)
        }


def _tensors(nodes: Any) -> list[GraphTensor]:
    return [
        GraphTensor(
            names=frozenset({node.name}),
            shape=tuple(size if isinstance(size, int) else None for size in node.shape),
            dtype=_DTYPES.get(node.type, node.type),
        )
        for node in nodes
    ]


def _brief(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
