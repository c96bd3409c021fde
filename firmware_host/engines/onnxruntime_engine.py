"""ONNX Runtime's engine, imported only for ``model.onnx``: any CPU, NVIDIA GPUs through CUDA or TensorRT."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Bundle, EngineIdentity, Manifest
from s2d_edge.contracts.engine import Clip, Frame, Logits
from s2d_edge.core.errors import DeviceError, MissingExtraError
from s2d_edge.core.processor import processor
from s2d_edge.core.scratch import temporary_folder
from s2d_edge.firmware_host.engines import nvidia
from s2d_edge.firmware_host.engines.base import Device, DeviceAbsentError, GraphEngine, GraphTensor, NodeTime
from s2d_edge.firmware_host.engines.caches import MODEL, compiled_folder
from s2d_edge.firmware_host.engines.exact_int8 import ONNX_RUNTIME as EXACT_INT8
from s2d_edge.firmware_host.engines.stream import RingMemory
from s2d_edge.firmware_host.selftest.agreement import Arithmetic

try:
    import onnxruntime
except ModuleNotFoundError as error:
    raise MissingExtraError("onnxruntime", "ort", "running an ONNX bundle (model.onnx)") from error

PROVIDERS: dict[Device, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_DTYPES = {"tensor(uint8)": "uint8", "tensor(int32)": "int32", "tensor(float)": "float32"}
# Where a provider keeps tensors, as ONNX Runtime names it.
_MEMORY: dict[Device, str] = {"cpu": "cpu", "cuda": "cuda", "tensorrt": "cuda"}
_ERRORS_ONLY = 3
# What a device may leave to others, best first.
_HELPERS: dict[Device, tuple[Device, ...]] = {
    "tensorrt": ("tensorrt", "cuda", "cpu"),
    "cuda": ("cuda", "cpu"),
    "cpu": ("cpu",),
}
# Operations that are the model's work; the CPU may have what is left of shapes and indices.
_HEAVY = re.compile(r"Conv|MatMul|Gemm|Attention|LayerNormalization")
# It makes a product and the bias after it one Gemm, before products between quantizers are looked for. A Gemm
# with a bias in floating point is none of these, and an INT8 graph's linears would all be computed in FP32.
_HIDES_INT8 = ["MatMulAddFusion"]
_RECORD_PLACES = "session.record_ep_graph_assignment_info"  # ONNX Runtime 1.24 and later


def devices() -> tuple[Device, ...]:
    """Return the devices the installed ONNX Runtime was built for; their libraries may still be missing."""
    built = onnxruntime.get_available_providers()
    return tuple(device for device, provider in PROVIDERS.items() if provider in built)


class ONNXRuntimeEngine(GraphEngine):
    """An ONNX Runtime session."""

    def __init__(
        self, bundle: Bundle, device: Device, threads: int | None = None, *, profile: bool = False
    ) -> None:
        """Open the bundle's graph on ``device``; the manifest's ``execution`` for it are provider options.

        Engines that TensorRT builds, which takes minutes, are kept in the user's cache folder.

        Raises:
            DeviceAbsentError: the provider or its libraries are missing.
            DeviceError: it refuses the graph, or leaves work that matters to the CPU.
            BundleError: the graph differs from the manifest.
        """
        super().__init__(bundle)
        self._device: Device = device
        self._provider = PROVIDERS[device]
        self._identity = identity_of(device)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry(_RECORD_PLACES, "1")
        self._traces = ExitStack()
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = str(self._traces.enter_context(temporary_folder()) / "trace")
        if threads is not None:
            options.intra_op_num_threads = threads
        in_int8 = self._manifest.precision == "int8" and device == "cpu"
        if in_int8:
            for name, value in EXACT_INT8.items():
                options.add_session_config_entry(name, value)
        try:
            # Without ``enable_fallback=0`` a failed provider is replaced without an error.
            self._session: onnxruntime.InferenceSession | None = onnxruntime.InferenceSession(
                str(bundle.graph_path),
                sess_options=options,
                providers=providers_for(self._manifest, device, self._identity),
                enable_fallback=0,
                disabled_optimizers=_HIDES_INT8 if in_int8 else [],
            )
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise DeviceError(
                f"ONNX Runtime's {self._provider} refuses {bundle.path} ({brief(error)}); "
                "use another --device, or export for another target"
            ) from None
        used = self._session.get_providers()
        if used[:1] != [self._provider]:
            raise DeviceAbsentError(
                f"ONNX Runtime could not load {self._provider} and offers {', '.join(used)} instead; "
                "install the driver and libraries it needs, or use another --device"
            )
        self._places = _places(self._session) if device != "cpu" else Counter()
        self._refuse_work_on_the_cpu()
        self._memory = _MEMORY[device]
        self._check_graph(_tensors(self._session.get_inputs()), _tensors(self._session.get_outputs()))
        self._input = self._manifest.inputs[0].name
        self._output = self._manifest.outputs[0].name

    @property
    def identity(self) -> EngineIdentity:
        return self._identity

    @property
    def arithmetic(self) -> Arithmetic:
        if self._manifest.precision == "int8":
            return "int8" if self._device == "cpu" else "int8 and more"
        # TensorRT multiplies FP32 in TF32, and so does CUDA by default.
        exact = self._manifest.execution.get("cuda", {}).get("use_tf32") == "0"
        return "fp32" if self._device == "cpu" or (self._device == "cuda" and exact) else "16-bit"

    def _refuse_work_on_the_cpu(self) -> None:
        """Check that the provider left no heavy work to the CPU.

        Raises:
            DeviceError: linears, convolutions, attentions or norms are on the CPU, which was not requested.
        """
        left = sorted(
            {kind for place, kind in self._places if place == PROVIDERS["cpu"] and _HEAVY.search(kind)}
        )
        if left:
            raise DeviceError(
                f"ONNX Runtime's {self._provider} leaves {', '.join(left)} of {self._where} to the CPU; "
                "use --device cpu to have all of it there, or another version of ONNX Runtime"
            )

    def time_nodes(self, predict: Callable[[], object], rounds: int) -> list[NodeTime]:
        for _ in range(rounds + 1):
            predict()
        trace: str = self._try(lambda session: session.end_profiling())
        events = json.loads(Path(trace).read_text(encoding="utf-8"))
        spans: dict[str, list[float]] = {}
        details: dict[str, tuple[str, bool]] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                spans.setdefault(event["name"], []).append(event["dur"] / 1000)
                detail = event["args"]
                details[event["name"]] = (detail["op_name"], _has_weights(detail))
        # The first predictions warm up, as do those before a stream is full.
        return [
            NodeTime(details[name][0], float(np.median(found[-rounds:])), details[name][1])
            for name, found in spans.items()
        ]

    def close(self) -> None:
        """Free the device."""
        self._session = None
        self._traces.close()

    def _run(self, clip: Clip) -> Logits:
        return np.asarray(self._try(lambda session: session.run([self._output], {self._input: clip}))[0])

    def _new_rings(self) -> RingMemory:
        return _DeviceRings(self._manifest, self._memory, self._try)

    def _try(self, use: Callable[[onnxruntime.InferenceSession], Any]) -> Any:
        """Return what ``use`` makes of the session.

        Raises:
            DeviceError: the engine is closed, or the provider fails.
        """
        if self._session is None:
            raise DeviceError("this engine is closed; open the bundle again")
        try:
            return use(self._session)
        except Exception as error:  # as above
            raise DeviceError(f"ONNX Runtime failed on {self._provider} ({brief(error)})") from None

    def _device_text(self) -> str:
        text = f"ONNX Runtime {onnxruntime.__version__} {self._provider}"
        if self._device == "cpu":
            return text
        nodes: Counter[str] = Counter()
        for (place, _), count in self._places.items():
            nodes[place] += count
        shares = ", ".join(f"{count} nodes on {place}" for place, count in nodes.most_common())
        return f"{text}, {self._identity.name or 'GPU'}" + (f" ({shares})" if shares else "")


def _has_weights(node: dict[str, Any]) -> bool:
    """Return whether one factor of a product is weights, by an event of ONNX Runtime's profile."""
    inputs = [shape for tensor in node["input_type_shape"] for shape in tensor.values()]
    packed = len(inputs) < 2  # beforehand, so only activations are left among the inputs
    # Weights behind a quantizer are computed in every prediction; activations have a batch and heads too.
    return packed or int(node["parameter_size"]) > 0 or len(inputs[-1]) == 2


def identity_of(device: Device) -> EngineIdentity:
    """Return the runtime, device and driver that the logits may depend on."""
    runtime = f"ONNX Runtime {onnxruntime.__version__}"
    if device == "cpu":
        return EngineIdentity(runtime=runtime, device=device, name=processor())
    runtime += f", CUDA {nvidia.cuda()}" if nvidia.cuda() else ""
    if device == "tensorrt":
        runtime += f", TensorRT {nvidia.tensorrt() or 'of unknown version'}"
    name, driver = nvidia.gpu()
    return EngineIdentity(runtime=runtime, device=device, name=name, driver=driver)


def providers_for(
    manifest: Manifest, device: Device, identity: EngineIdentity, of: str = MODEL
) -> list[tuple[str, dict[str, str]]]:
    """Return providers in order with their options: the bundle's, and TensorRT's cache folder.

    Args:
        of: the files that are compiled, as :func:`compiled_folder` takes them.
    """
    options = {each: dict(manifest.execution.get(each, {})) for each in _HELPERS[device]}
    if device == "tensorrt" and nvidia.tensorrt():  # an engine fits only the TensorRT that built it
        folder = compiled_folder("tensorrt", manifest, identity, of)
        if folder is not None:
            options[device] |= {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": str(folder),
                "trt_timing_cache_enable": "1",
                "trt_timing_cache_path": str(folder),
            }
    built = devices()
    return [(PROVIDERS[each], chosen) for each, chosen in options.items() if each in built]


def _places(session: onnxruntime.InferenceSession) -> Counter[tuple[str, str]]:
    """Count nodes by provider and kind of operation; empty if this ONNX Runtime does not record them."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return Counter()
    return Counter(
        (part.ep_name, node.op_type)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    )


class _DeviceRings:
    """Rings that stay in the device's memory, where the graph reads them and writes each new slot.

    The slot being written is masked in that step, so nothing is read half-written.
    """

    def __init__(
        self,
        manifest: Manifest,
        memory: str,
        with_session: Callable[[Callable[[onnxruntime.InferenceSession], Any]], Any],
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

    def _step(
        self, session: onnxruntime.InferenceSession, frame: Frame, age: NDArray[np.int32], slot: int
    ) -> Any:
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


def brief(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
