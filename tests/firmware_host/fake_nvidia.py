"""Stand-ins for TensorRT and CUDA's runtime that compute, late, and refuse what the documentation forbids.

A plan is what the stand-in trtexec of ``tests/deploy/trtexec.py`` writes: the version that built it, and the
graph. Work on a stream is done when somebody waits for it, so whoever reads too early reads rubbish.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest

from s2d_edge.firmware_host.engines import cudart, nvidia

_ALIGNED = 256
_INVALID, _OUT_OF_MEMORY, _OK = 1, 2, 0


@dataclass
class _Block:
    raw: Any
    nbytes: int
    space: str


@dataclass
class FakeCuda:
    """CUDA's runtime library, its memory being the process's own."""

    name: str = "Orin"
    multiprocessors: int = 8
    memory: int = 1 << 30
    blocks: dict[int, _Block] = field(default_factory=dict)
    streams: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    uploads: int = 0
    downloads: int = 0

    def block(self, address: int, nbytes: int, space: str) -> bool:
        """Return True if all the bytes from an address on lie in one block of memory of that kind."""
        return any(
            begin <= address and address + nbytes <= begin + held.nbytes and held.space == space
            for begin, held in self.blocks.items()
        )

    def _allocate(self, pointer: Any, nbytes: int, space: str) -> int:
        if sum(held.nbytes for held in self.blocks.values()) + nbytes > self.memory:
            return _OUT_OF_MEMORY
        raw = ctypes.create_string_buffer(b"\xa5" * (nbytes + _ALIGNED))  # nobody said it is zero
        address = -(-ctypes.addressof(raw) // _ALIGNED) * _ALIGNED
        self.blocks[address] = _Block(raw, nbytes, space)
        pointer._obj.value = address
        return _OK

    def _release(self, address: int, space: str) -> int:
        if address not in self.blocks or self.blocks[address].space != space:
            return _INVALID
        del self.blocks[address]
        return _OK

    def cudaMalloc(self, pointer: Any, nbytes: int) -> int:
        return self._allocate(pointer, nbytes, "device")

    def cudaFree(self, address: int) -> int:
        return self._release(address, "device")

    def cudaMallocHost(self, pointer: Any, nbytes: int) -> int:
        return self._allocate(pointer, nbytes, "host")

    def cudaFreeHost(self, address: int) -> int:
        return self._release(address, "host")

    def cudaStreamCreate(self, pointer: Any) -> int:
        pointer._obj.value = 1000 + len(self.streams)
        self.streams[pointer._obj.value] = []
        return _OK

    def cudaStreamDestroy(self, stream: int) -> int:
        return _OK if self.streams.pop(stream, None) is not None else _INVALID

    def cudaStreamSynchronize(self, stream: int) -> int:
        if stream not in self.streams:
            return _INVALID
        work, self.streams[stream] = self.streams[stream], []
        for each in work:
            each()
        return _OK

    def cudaMemsetAsync(self, address: int, value: int, nbytes: int, stream: int) -> int:
        if not self.block(address, nbytes, "device") or stream not in self.streams:
            return _INVALID
        self.streams[stream].append(lambda: void(ctypes.memset(address, value, nbytes)))
        return _OK

    def cudaMemcpyAsync(self, target: int, source: int, nbytes: int, kind: int, stream: int) -> int:
        into, out_of = {1: ("device", "host"), 2: ("host", "device"), 3: ("device", "device")}[kind]
        if not (self.block(target, nbytes, into) and self.block(source, nbytes, out_of)):
            return _INVALID
        if stream not in self.streams:
            return _INVALID
        self.uploads += kind == 1
        self.downloads += kind == 2
        self.streams[stream].append(lambda: void(ctypes.memmove(target, source, nbytes)))
        return _OK

    def cudaGetDeviceProperties(self, properties: Any, device: int) -> int:
        properties.raw = self.name.encode() + b"\0" * (len(properties.raw) - len(self.name.encode()))
        return _OK if device == 0 else _INVALID

    def cudaDeviceGetAttribute(self, number: Any, attribute: int, device: int) -> int:
        number._obj.value = {16: self.multiprocessors, 75: 8, 76: 7}[attribute]
        return _OK if device == 0 else _INVALID

    def cudaGetErrorString(self, code: int) -> bytes:
        return {_INVALID: b"invalid argument", _OUT_OF_MEMORY: b"out of memory"}[code]


def void(_: object) -> None:
    """Nothing, whatever there was."""


class _Enum:
    """Members that are equal to themselves alone."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return self._name


class _ILogger:
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = (
        _Enum(f"Severity.{k}") for k in ["0", "1", "2", "3", "4"]
    )

    def __init__(self) -> None:
        self.started = True

    def log(self, severity: Any, message: str) -> None:
        raise NotImplementedError


class _DataType:
    UINT8, INT32, FLOAT, HALF, INT64 = (
        _Enum(f"DataType.{k}") for k in ["UINT8", "INT32", "FLOAT", "HALF", "INT64"]
    )


class _TensorFormat:
    LINEAR, HWC = _Enum("TensorFormat.LINEAR"), _Enum("TensorFormat.HWC")


class _TensorIOMode:
    NONE, INPUT, OUTPUT = (_Enum(f"TensorIOMode.{k}") for k in ["NONE", "INPUT", "OUTPUT"])


_TYPES = {
    "tensor(uint8)": (_DataType.UINT8, np.uint8),
    "tensor(int32)": (_DataType.INT32, np.int32),
    "tensor(float)": (_DataType.FLOAT, np.float32),
}


class FakeTensorRT(ModuleType):
    """The ``tensorrt`` package of one version, on one GPU's CUDA."""

    __version__: str
    ILogger = _ILogger
    DataType = _DataType
    TensorFormat = _TensorFormat
    TensorIOMode = _TensorIOMode

    def __init__(self, cuda: FakeCuda, version: str = "10.3.0") -> None:
        super().__init__("tensorrt")
        self.__version__ = version
        self.cuda = cuda
        self.format = _TensorFormat.LINEAR
        self.fails = False

    def Runtime(self, logger: _ILogger) -> _Runtime:
        assert logger.started, "ILogger.__init__ must be called"
        if self.cuda.memory == 0:
            logger.log(_ILogger.ERROR, "CUDA initialization failure with error: 2")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        return _Runtime(self, logger)


class _Runtime:
    def __init__(self, package: FakeTensorRT, logger: _ILogger) -> None:
        self._package = package
        self._logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> _Engine | None:
        major, minor, patch = map(int, self._package.__version__.split(".")[:3])
        words = plan.decode(errors="replace").split(maxsplit=2)
        if len(words) != 3 or words[:2] != ["PLAN", str(10000 * major + 100 * minor + patch)]:
            self._logger.log(_ILogger.ERROR, "IRuntime::deserializeCudaEngine: Error Code 1:\n Serialization")
            self._logger.log(_ILogger.INFO, "this is no error")
            return None
        return _Engine(self._package, self._logger, Path(words[2].strip()))


class _Engine:
    def __init__(self, package: FakeTensorRT, logger: _ILogger, graph: Path) -> None:
        self.package = package
        self.logger = logger
        self.session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        self.inputs = [each.name for each in inputs]
        self.tensors: dict[str, Any] = {
            each.name: each for each in (*outputs, *inputs)
        }  # TensorRT promises no order

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, number: int) -> str:
        return list(self.tensors)[number]

    def get_tensor_mode(self, name: str) -> _Enum:
        return _TensorIOMode.INPUT if name in self.inputs else _TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.tensors[name].shape)

    def get_tensor_dtype(self, name: str) -> _Enum:
        return _TYPES[self.tensors[name].type][0]

    def get_tensor_format(self, name: str) -> _Enum:
        assert name in self.tensors
        return self.package.format

    def create_execution_context(self) -> _Context:
        return _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._cuda = engine.package.cuda
        self._addresses: dict[str, int] = {}

    def _layout(self, name: str) -> tuple[tuple[int, ...], Any, int]:
        tensor = self._engine.tensors[name]
        dtype = _TYPES[tensor.type][1]
        shape = tuple(tensor.shape)
        return shape, dtype, int(np.prod(shape)) * np.dtype(dtype).itemsize

    def set_tensor_address(self, name: str, address: int) -> bool:
        if name not in self._engine.tensors or address % _ALIGNED:
            self._engine.logger.log(_ILogger.ERROR, f"set_tensor_address of {name}")
            return False
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        unset = self._engine.tensors.keys() - self._addresses.keys()
        small = [
            name
            for name, address in self._addresses.items()
            if not self._cuda.block(address, self._layout(name)[2], "device")
        ]
        if unset or small or stream not in self._cuda.streams or self._engine.package.fails:
            self._engine.logger.log(_ILogger.ERROR, f"execute_async_v3: {sorted(unset)} {small} at {stream}")
            return False
        bound = dict(self._addresses)
        self._cuda.streams[stream].append(lambda: self._compute(bound))
        return True

    def _array(self, name: str, address: int) -> Any:
        shape, dtype, nbytes = self._layout(name)
        raw = np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address))
        return raw.view(dtype).reshape(shape)

    def _compute(self, bound: dict[str, int]) -> None:
        feeds = {name: self._array(name, bound[name]) for name in self._engine.inputs}
        names = [name for name in bound if name not in feeds]
        for name, value in zip(names, self._engine.session.run(names, feeds), strict=True):
            self._array(name, bound[name])[...] = value


def install(
    patch: pytest.MonkeyPatch, *, version: str = "10.3.0", **gpu: Any
) -> tuple[FakeTensorRT, FakeCuda]:
    """Have this process find that TensorRT on that GPU."""
    cuda = FakeCuda(**gpu)
    package = FakeTensorRT(cuda, version)
    patch.setitem(sys.modules, "tensorrt", package)
    patch.delitem(sys.modules, "s2d_edge.firmware_host.engines.tensorrt_engine", raising=False)
    patch.setattr(cudart, "library", lambda: cuda)
    patch.setattr(nvidia, "tensorrt", lambda: version)
    patch.setattr(nvidia, "gpu", lambda: ("Orin (nvgpu)", "540.4.0"))
    return package, cuda
