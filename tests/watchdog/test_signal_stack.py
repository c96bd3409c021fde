"""A test that makes a second OpenVINO core fails; the shared one may be made in any."""

from __future__ import annotations

import ctypes
import mmap
import threading

import pytest

from tests.watchdog import signal_stack
from tests.watchdog.signal_stack import SignalStack


def _run_tests(monkeypatch: pytest.MonkeyPatch, *stacks: int | None, gone: bool = False) -> None:
    """Drive the plugin through tests that end with these stacks; the first one is there before all."""
    places = iter(stacks)
    monkeypatch.setattr(signal_stack, "signal_stack", lambda: next(places))
    monkeypatch.setattr(signal_stack, "stack_is_gone", lambda: gone)
    plugin = SignalStack()
    for _ in stacks[1:]:
        plugin.pytest_runtest_setup()
        list(plugin.pytest_runtest_teardown())


@pytest.mark.parametrize("stacks", [(None, None), (None, None, 1, 1, 1), (1, 1, 2, 2)])
def test_the_stack_may_change_once(monkeypatch: pytest.MonkeyPatch, stacks: tuple[int | None, ...]) -> None:
    _run_tests(monkeypatch, *stacks)


@pytest.mark.parametrize("stacks", [(None, 1, 1, 2), (1, 2, 1), (1, 2, None)])
def test_a_second_change_fails(monkeypatch: pytest.MonkeyPatch, stacks: tuple[int | None, ...]) -> None:
    with pytest.raises(pytest.fail.Exception):
        _run_tests(monkeypatch, *stacks)


def test_a_stack_that_is_gone_is_known() -> None:
    """In a thread of its own, where no signal needs it."""
    gone: list[bool] = []

    def work() -> None:
        libc, size = ctypes.CDLL(None), 64 * 1024
        libc.mmap.restype = ctypes.c_void_p
        place = libc.mmap(None, ctypes.c_size_t(size), 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        stack = signal_stack.Stack(place=place, flags=0, size=size)
        assert libc.sigaltstack(ctypes.byref(stack), None) == 0
        gone.append(signal_stack.stack_is_gone())
        assert libc.munmap(ctypes.c_void_p(place), ctypes.c_size_t(size)) == 0
        gone.append(signal_stack.stack_is_gone())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert gone == [False, True]


def test_a_first_stack_that_is_gone_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pytest.fail.Exception):
        _run_tests(monkeypatch, None, 1, gone=True)
