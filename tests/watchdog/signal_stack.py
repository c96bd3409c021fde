"""A pytest plugin that fails a test which leaves its process another stack for signals.

The next signal would end the process, in any later test (:mod:`s2d_edge.core.openvino_core`).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from typing import Any

import pytest

_MS_ASYNC = 1


class Stack(ctypes.Structure):
    """``stack_t`` of Linux."""

    _fields_ = (("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack() -> int | None:
    """Return where the stack lies on which this thread handles signals; None for the usual one."""
    place: int | None = _stack().place
    return place


def _stack() -> Any:
    libc, stack = ctypes.CDLL(None, use_errno=True), Stack()
    if libc.sigaltstack(None, ctypes.byref(stack)) != 0:
        raise OSError(ctypes.get_errno(), "sigaltstack")
    return stack


def stack_is_gone() -> bool:
    """Tell whether the memory of that stack was given back."""
    stack = _stack()
    if not stack.place:
        return False
    page = os.sysconf("SC_PAGE_SIZE")
    first = stack.place // page * page
    size = ctypes.c_size_t(stack.place + stack.size - first)
    code: int = ctypes.CDLL(None).msync(ctypes.c_void_p(first), size, _MS_ASYNC)
    return code != 0


class SignalStack:
    """Lets the stack change once, to that of the shared OpenVINO core, which stays to the end."""

    def __init__(self) -> None:
        self._seen: list[int | None] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Note the stack before the first test."""
        if not self._seen:
            self._seen.append(signal_stack())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        """Compare after the test's own teardown."""
        yield
        if (now := signal_stack()) != self._seen[-1]:
            self._seen.append(now)
            if len(self._seen) > 2 or stack_is_gone():
                pytest.fail("another OpenVINO core than s2d_edge.core.openvino_core's was made in a test")
