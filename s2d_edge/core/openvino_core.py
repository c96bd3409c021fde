"""The one OpenVINO core of a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from s2d_edge.core.caches import ensure_home
from s2d_edge.core.disk import refusals

_LOCK = Lock()  # two threads that both come first make one core


def openvino_core() -> Any:
    """Return the ``openvino.Core`` that everything in this process shares; it is never freed.

    On Linux the CPU plugin of each core gives the thread another stack for signals, and takes it away again
    when it is freed. Cores that are not freed in reverse order leave the thread with a stack that is gone.
    The next Ctrl-C is then a segmentation fault.

    Raises:
        ModuleNotFoundError: OpenVINO is not installed.
    """
    ensure_home()
    import openvino

    with _LOCK:
        return _made(openvino.Core)


def save_graph(graph: Any, path: Path) -> None:
    """Write an OpenVINO graph and its weights, which are not compressed to FP16.

    Raises:
        OSError: the disk refuses, for instance because it is full.
    """
    import openvino

    with refusals(path):
        openvino.save_model(graph, path, compress_to_fp16=False)


@contextmanager
def core_for_libraries() -> Iterator[None]:
    """Give the shared core to whatever asks OpenVINO for a new one during the block.

    NNCF makes a core for each graph that it compiles and frees them in any order.

    Raises:
        ModuleNotFoundError: OpenVINO is not installed.
    """
    give = _giving(openvino_core())
    import openvino

    names: tuple[dict[str, Any], ...] = (vars(openvino), openvino.compile_model.__globals__)
    before = [each["Core"] for each in names]
    for each in names:
        each["Core"] = give
    try:
        yield
    finally:
        for each, kind in zip(names, before, strict=True):
            each["Core"] = kind


@cache
def _made(kind: Callable[[], Any]) -> Any:
    return kind()


@cache
def _giving(core: Any) -> Callable[[], Any]:
    return lambda: core
