"""Calls of CUDA's runtime through ctypes, into a small library compiled for the test."""

from __future__ import annotations

import gc
import subprocess
from pathlib import Path

import pytest

from s2d_edge.core.errors import DeviceError
from s2d_edge.firmware_host.engines import cudart

_C_LIBRARY = r"""
#include <stdlib.h>
#include <string.h>
static char *expected;
int cudaMalloc(void **p, size_t n) { *p = aligned_alloc(256, (n + 255) / 256 * 256); return *p ? 0 : 2; }
int cudaFree(void *p) { free(p); return 0; }
int cudaMallocHost(void **p, size_t n) { return cudaMalloc(p, n); }
int cudaFreeHost(void *p) { return cudaFree(p); }
int cudaStreamCreate(void **s) { *s = expected = malloc(1); return 0; }
int cudaStreamDestroy(void *s) { free(s); return 0; }
int cudaStreamSynchronize(void *s) { return s == expected ? 0 : 1; }
int cudaMemsetAsync(void *p, int v, size_t n, void *s) { memset(p, v, n); return s == expected ? 0 : 1; }
int cudaMemcpyAsync(void *t, const void *f, size_t n, int kind, void *s)
{ if (kind < 1 || kind > 3 || s != expected) return 1; memcpy(t, f, n); return 0; }
int cudaDeviceGetAttribute(int *v, int a, int d) { *v = a == 16 ? 8 : a == 75 ? 8 : 7; return d; }
int cudaGetDeviceProperties(void *p, int d) { memset(p, 0, 1032); strcpy(p, "Orin"); return d; }
const char *cudaGetErrorString(int e) { return e == 1 ? "invalid argument" : "out of memory"; }
"""


def test_the_calls_reach_a_library_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through ctypes into compiled code: pointers of 64 bits, sizes, and words for errors."""
    source, library = tmp_path / "cudart.c", tmp_path / "libcudart.so"
    source.write_text(_C_LIBRARY)
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a C compiler (cc)")
    monkeypatch.setattr(cudart, "find_library", lambda name: str(library))
    monkeypatch.setattr(cudart, "_NAMES", ())
    cudart.library.cache_clear()
    try:
        assert cudart.gpu() == cudart.Gpu("Orin", "8.7", 8)
        stream, ring, slot = cudart.Stream(), cudart.device_memory(12), cudart.device_memory(4)
        sent, returned = cudart.pinned_memory(4), cudart.pinned_memory(12)
        stream.zero(ring)
        sent.view((2,), "int16")[:] = (7, -1)
        stream.upload(slot, sent)
        stream.copy(ring, 4, slot)
        stream.download(returned, ring)
        stream.wait()
        assert returned.view((2, 3), "int16").tolist() == [[0, 0, 7], [-1, 0, 0]]
        stream.handle += 1
        with pytest.raises(DeviceError, match=r"cudaStreamSynchronize.*invalid argument"):
            stream.wait()
        stream.handle -= 1
        with pytest.raises(DeviceError, match="cudaMalloc"):
            cudart.device_memory(1 << 60)
        del stream, ring, slot, sent, returned
        gc.collect()
    finally:
        cudart.library.cache_clear()


def test_without_cuda_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudart, "find_library", lambda name: None)
    monkeypatch.setattr(cudart, "_NAMES", ("libcudart-that-is-not-there.so",))
    cudart.library.cache_clear()
    try:
        assert cudart.gpu() is None
        with pytest.raises(DeviceError, match="libcudart"):
            cudart.device_memory(1)
    finally:
        cudart.library.cache_clear()
