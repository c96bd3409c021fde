"""The functions of CUDA's runtime library that running a TensorRT plan needs, through ctypes.

JetPack has the library, since TensorRT needs it, but no Python package for CUDA. The library is loaded at its
first use. Experimental: built to CUDA's documentation, not run on a device.
"""

from __future__ import annotations

import ctypes
import weakref
from ctypes.util import find_library
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import DeviceError

_NAMES = (
    "libcudart.so.13",
    "libcudart.so.12",
    "libcudart.so.11.0",
    "/usr/local/cuda/lib64/libcudart.so",
)
_TO_DEVICE, _TO_HOST, _WITHIN_DEVICE = 1, 2, 3  # enum cudaMemcpyKind
_MULTIPROCESSORS, _MAJOR, _MINOR = 16, 75, 76  # enum cudaDeviceAttr
_PROPERTIES_BYTES = 1 << 14  # more than cudaDeviceProp has in any version; the name is its first member
_NAME_BYTES = 256
_POINTER = ctypes.c_void_p
# Arguments of what is called. Without them ctypes would cut pointers to 32 bits.
_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "cudaMalloc": (_POINTER, ctypes.c_size_t),
    "cudaFree": (_POINTER,),
    "cudaMallocHost": (_POINTER, ctypes.c_size_t),
    "cudaFreeHost": (_POINTER,),
    "cudaMemsetAsync": (_POINTER, ctypes.c_int, ctypes.c_size_t, _POINTER),
    "cudaMemcpyAsync": (_POINTER, _POINTER, ctypes.c_size_t, ctypes.c_int, _POINTER),
    "cudaStreamCreate": (_POINTER,),
    "cudaStreamDestroy": (_POINTER,),
    "cudaStreamSynchronize": (_POINTER,),
    "cudaDeviceGetAttribute": (_POINTER, ctypes.c_int, ctypes.c_int),
    "cudaGetDeviceProperties": (_POINTER, ctypes.c_int),
}


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, as CUDA describes it."""

    name: str
    compute_capability: str
    multiprocessors: int


class Memory:
    """Bytes of the device, or of the host where the device reaches them; freed with their last reference."""

    def __init__(self, address: int, nbytes: int, free: Any) -> None:
        self.address = address
        self.nbytes = nbytes
        weakref.finalize(self, free, address)


class Pinned(Memory):
    """Page-locked memory of the host."""

    def view(self, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """Return an array on the first bytes of this memory. It is valid as long as this object is held."""
        raw = np.ctypeslib.as_array((ctypes.c_uint8 * self.nbytes).from_address(self.address))
        used = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return raw[:used].view(dtype).reshape(shape)


class Stream:
    """A queue of work for one device, done in order. The host does not wait for it before :meth:`wait`."""

    def __init__(self) -> None:
        self._call = _calls()
        handle = _POINTER()
        self._call("cudaStreamCreate", ctypes.byref(handle))
        self.handle = int(handle.value or 0)
        weakref.finalize(self, _free, "cudaStreamDestroy", self.handle)

    def zero(self, memory: Memory) -> None:
        """Fill memory with zero bytes."""
        self._call("cudaMemsetAsync", memory.address, 0, memory.nbytes, self.handle)

    def upload(self, target: Memory, source: Pinned) -> None:
        """Copy all of the host's memory into the device's, which must be as long."""
        self._call("cudaMemcpyAsync", target.address, source.address, target.nbytes, _TO_DEVICE, self.handle)

    def download(self, target: Pinned, source: Memory) -> None:
        """Copy all of the device's memory into the host's, which must be as long."""
        self._call("cudaMemcpyAsync", target.address, source.address, source.nbytes, _TO_HOST, self.handle)

    def copy(self, target: Memory, offset: int, source: Memory) -> None:
        """Copy all of ``source`` into ``target`` from byte ``offset`` on, both of the device."""
        self._call(
            "cudaMemcpyAsync",
            target.address + offset,
            source.address,
            source.nbytes,
            _WITHIN_DEVICE,
            self.handle,
        )

    def wait(self) -> None:
        """Wait until all work is done."""
        self._call("cudaStreamSynchronize", self.handle)


def device_memory(nbytes: int) -> Memory:
    """Allocate memory of the device.

    Raises:
        DeviceError: there is not enough, or no CUDA.
    """
    return Memory(_allocated("cudaMalloc", nbytes), nbytes, lambda address: _free("cudaFree", address))


def pinned_memory(nbytes: int) -> Pinned:
    """Allocate page-locked memory of the host, which the device reads and writes without the processor.

    Raises:
        DeviceError: there is not enough, or no CUDA.
    """
    return Pinned(
        _allocated("cudaMallocHost", nbytes), nbytes, lambda address: _free("cudaFreeHost", address)
    )


def gpu() -> Gpu | None:
    """Return the first GPU; None without a GPU, its driver or CUDA's runtime."""
    properties = ctypes.create_string_buffer(_PROPERTIES_BYTES)
    try:
        call = _calls()
        call("cudaGetDeviceProperties", properties, 0)
        found = []
        for attribute in (_MULTIPROCESSORS, _MAJOR, _MINOR):
            number = ctypes.c_int()
            call("cudaDeviceGetAttribute", ctypes.byref(number), attribute, 0)
            found.append(number.value)
    except DeviceError:
        return None
    multiprocessors, major, minor = found
    name = properties.raw[:_NAME_BYTES].split(b"\0")[0].decode(errors="replace")
    return Gpu(name, f"{major}.{minor}", multiprocessors)


def _allocated(function: str, nbytes: int) -> int:
    pointer = _POINTER()
    _calls()(function, ctypes.byref(pointer), nbytes)
    return int(pointer.value or 0)


def _free(function: str, address: int) -> None:
    """Free memory or a stream, and ignore errors: at the end of a process the driver may be gone already."""
    getattr(library(), function)(address)


def _calls() -> Any:
    """Return a caller of the library's functions by name.

    Raises:
        DeviceError: there is no library. The caller raises it too, with CUDA's message, if a function fails.
    """
    loaded = library()

    def call(function: str, *arguments: Any) -> None:
        code = getattr(loaded, function)(*arguments)
        if code != 0:
            text = loaded.cudaGetErrorString(code)
            raise DeviceError(f"CUDA's {function} failed ({text.decode(errors='replace')})")

    return call


@lru_cache
def library() -> Any:
    """Load CUDA's runtime library and declare its functions' arguments.

    Raises:
        DeviceError: there is none.
    """
    found = find_library("cudart")
    for name in (*([found] if found else ()), *_NAMES):
        try:
            loaded = ctypes.CDLL(name)
            for function, arguments in _ARGUMENTS.items():
                getattr(loaded, function).argtypes = arguments
            loaded.cudaGetErrorString.argtypes = (ctypes.c_int,)
            loaded.cudaGetErrorString.restype = ctypes.c_char_p
        except (OSError, AttributeError):
            continue
        return loaded
    raise DeviceError(
        "CUDA's runtime library (libcudart) is not here; on a Jetson: apt-get install nvidia-jetpack"
    )
