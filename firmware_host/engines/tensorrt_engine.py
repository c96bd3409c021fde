"""The engine of TensorRT itself: it runs the plan that ``build_engine.sh`` built on this machine.

Experimental: built to NVIDIA's documentation of the Python package, from 8.6 to 11, and checked against the
published types of 10.13 and the signatures of 11.4. It was not run on a device, but on stand-ins for TensorRT
and CUDA that refuse what the documentation forbids. Imported only when there is a plan. JetPack brings the
package for the system's Python, so a virtual environment must be made with ``--system-site-packages``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import BUILD_SCRIPT, Bundle, EngineIdentity, TensorSpec
from s2d_edge.contracts.engine import Clip, Frame, Logits
from s2d_edge.core.errors import DeviceError
from s2d_edge.firmware_host.engines import nvidia
from s2d_edge.firmware_host.engines.base import DeviceAbsentError, GraphEngine, GraphTensor, NodeTime
from s2d_edge.firmware_host.engines.cudart import Memory, Pinned, Stream, device_memory, pinned_memory
from s2d_edge.firmware_host.engines.plans import Plan
from s2d_edge.firmware_host.engines.stream import RingMemory
from s2d_edge.firmware_host.selftest.agreement import Arithmetic

try:
    import tensorrt
    from tensorrt import DataType  # an empty folder of that name can be imported too
except ImportError as error:
    raise DeviceAbsentError(
        f"Python finds no TensorRT to run a plan ({error}); JetPack has it for the system's Python: make the "
        "virtual environment with --system-site-packages"
    ) from None

_DTYPES = {
    DataType.UINT8: "uint8",
    DataType.INT32: "int32",
    DataType.FLOAT: "float32",
}


class _Log(tensorrt.ILogger):
    """Keeps the last error that TensorRT logged."""

    def __init__(self) -> None:
        tensorrt.ILogger.__init__(self)
        self.last = "it does not say why"

    def log(self, severity: tensorrt.ILogger.Severity, message: str) -> None:
        """Keep an error; TensorRT calls it."""
        if severity in (tensorrt.ILogger.INTERNAL_ERROR, tensorrt.ILogger.ERROR):
            self.last = " ".join(message.split())


class TensorRTEngine(GraphEngine):
    """A deserialized plan. Rings of a stream stay in the device's memory."""

    def __init__(self, bundle: Bundle, plan: Plan, *, profile: bool = False) -> None:
        """Load a plan from :func:`s2d_edge.firmware_host.engines.plans.find_plan`.

        Raises:
            DeviceError: the plan is damaged, or TensorRT or CUDA refuse it.
            BundleError: its tensors are not those of the manifest.
        """
        super().__init__(bundle)
        if profile:
            raise DeviceError(
                f"a TensorRT plan cannot be looked into from here; use trtexec --loadEngine='{plan.path}' "
                "--dumpProfile"
            )
        self._plan = plan
        data = plan.read()
        self._log = _Log()
        try:
            self._runtime: tensorrt.Runtime | None = tensorrt.Runtime(self._log)
        except TypeError:  # how the package says that TensorRT made none, as where CUDA does not start
            raise self._refusal() from None
        # The package's types do not say that it may return None.
        self._engine: tensorrt.ICudaEngine | None = self._runtime.deserialize_cuda_engine(data)
        if self._engine is None:
            raise self._refusal()
        self._check_graph(*_tensors(self._engine))
        self._context: tensorrt.IExecutionContext | None = self._engine.create_execution_context()
        if self._context is None:
            raise self._refusal()
        manifest = self._manifest
        self._stream_of_work = Stream()
        # The inputs that the host writes: its memory, an array on it, and the device's memory.
        fed = manifest.inputs[: len(manifest.inputs) - len(manifest.rings)]
        self._fed = [(pinned, view, device_memory(pinned.nbytes)) for pinned, view in map(_pinned, fed)]
        self._outputs = [device_memory(_nbytes(spec)) for spec in manifest.outputs]
        self._logits = _pinned(manifest.outputs[0])
        for spec, (_, _, memory) in zip(fed, self._fed, strict=True):
            self._bind(spec, memory)
        for spec, memory in zip(manifest.outputs, self._outputs, strict=True):
            self._bind(spec, memory)

    @property
    def identity(self) -> EngineIdentity:
        record = self._plan.record
        # Another plan of the same graph may round differently, so each needs its own self-test.
        return EngineIdentity(
            runtime=f"TensorRT {record.tensorrt}, plan {record.plan_sha256[:12]}",
            device="tensorrt",
            name=record.gpu,
            driver=nvidia.gpu()[1],
        )

    @property
    def arithmetic(self) -> Arithmetic:
        return "int8 and more" if self._manifest.precision == "int8" else "16-bit"

    def time_nodes(self, predict: Callable[[], object], rounds: int) -> list[NodeTime]:
        raise NotImplementedError("the constructor refuses to profile")

    def close(self) -> None:
        """Free the device; rings of open streams are freed with their sessions."""
        self._context = self._engine = self._runtime = None
        self._fed, self._outputs = [], []

    def _run(self, clip: Clip) -> Logits:
        return self._predict([clip], [], 0)

    def _new_rings(self) -> RingMemory:
        return _DeviceRings(self._manifest.rings, self._stream_of_work, self._predict)

    def _predict(self, fed: Sequence[NDArray[Any]], rings: Sequence[Memory], slot: int) -> Logits:
        """Run the plan on the host's inputs and on rings, write their ``slot``, and return (1, K) logits."""
        context = self._open_context()
        stream = self._stream_of_work
        for array, (pinned, view, memory) in zip(fed, self._fed, strict=True):
            np.copyto(view, array)
            stream.upload(memory, pinned)
        for spec, ring in zip(self._manifest.rings, rings, strict=True):
            self._bind(spec, ring)
        if not context.execute_async_v3(stream.handle):
            raise DeviceError(f"TensorRT failed ({self._log.last})")
        for ring, new in zip(rings, self._outputs[1:], strict=True):
            # Not written in place: a slot's address need not be aligned as TensorRT may want an output's.
            stream.copy(ring, slot * new.nbytes, new)
        pinned, view = self._logits
        stream.download(pinned, self._outputs[0])
        stream.wait()
        return view.copy()

    def _open_context(self) -> tensorrt.IExecutionContext:
        if self._context is None:
            raise DeviceError("this engine is closed; open the bundle again")
        return self._context

    def _bind(self, spec: TensorSpec, memory: Memory) -> None:
        if not self._open_context().set_tensor_address(spec.name, memory.address):
            raise DeviceError(f"TensorRT takes no memory for {spec.name} ({self._log.last})")

    def _refusal(self) -> DeviceError:
        return DeviceError(
            f"TensorRT {tensorrt.__version__} refuses {self._plan.path} ({self._log.last}); "
            f"build it again with 'sh {self._where / BUILD_SCRIPT} --force'"
        )

    def _device_text(self) -> str:
        record = self._plan.record
        return f"TensorRT {record.tensorrt}, {record.gpu or 'GPU'} (plan {self._plan.path.name})"


class _DeviceRings:
    """Rings in the device's memory, slots along their first axis; none of it passes through the host."""

    def __init__(
        self,
        specs: Sequence[TensorSpec],
        stream: Stream,
        predict: Callable[[Sequence[NDArray[Any]], Sequence[Memory], int], Logits],
    ) -> None:
        self._specs = specs
        self._stream = stream
        self._predict = predict
        self._rings = [device_memory(_nbytes(spec)) for spec in specs]
        for ring in self._rings:
            stream.zero(ring)

    def step(self, frame: Frame, age: NDArray[np.int32], slot: int) -> Logits:
        return self._predict([frame, age], self._rings, slot)

    def copies(self) -> dict[str, NDArray[Any]]:
        held = [_pinned(spec) for spec in self._specs]
        for (pinned, _), ring in zip(held, self._rings, strict=True):
            self._stream.download(pinned, ring)
        self._stream.wait()
        return {spec.name: view.copy() for spec, (_, view) in zip(self._specs, held, strict=True)}


def _tensors(engine: tensorrt.ICudaEngine) -> tuple[list[GraphTensor], list[GraphTensor]]:
    """Return a plan's inputs and outputs. A tensor that is not in the linear format has no known type."""
    sides: tuple[list[GraphTensor], list[GraphTensor]] = ([], [])
    for number in range(engine.num_io_tensors):
        name = engine.get_tensor_name(number)
        shape = engine.get_tensor_shape(name)
        dtype = engine.get_tensor_dtype(name)
        linear = engine.get_tensor_format(name) == tensorrt.TensorFormat.LINEAR
        tensor = GraphTensor(
            names=frozenset({name}),
            shape=tuple(shape[axis] if shape[axis] >= 0 else None for axis in range(len(shape))),
            dtype=_DTYPES.get(dtype, str(dtype)) if linear else f"{dtype} in a format of its own",
        )
        sides[engine.get_tensor_mode(name) != tensorrt.TensorIOMode.INPUT].append(tensor)
    return sides


def _nbytes(spec: TensorSpec) -> int:
    return int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize


def _pinned(spec: TensorSpec) -> tuple[Pinned, NDArray[Any]]:
    """Allocate memory of the host for a tensor, and return it with an array on it."""
    memory = pinned_memory(_nbytes(spec))
    return memory, memory.view(spec.shape, spec.dtype)
