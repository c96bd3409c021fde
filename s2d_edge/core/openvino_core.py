"""The one OpenVINO core of a process."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

from s2d_edge.core.caches import ensure_home


def openvino_core() -> Any:
    """Return the ``openvino.Core`` that everything in this process shares; it is never freed.

    On CPUs with AMX the CPU plugin of each core gives the thread another stack for signals, and takes it away
    again when it is freed. Cores that are not freed in reverse order leave the thread with a stack that is
    gone. The next Ctrl-C is then a segmentation fault.

    Raises:
        ModuleNotFoundError: OpenVINO is not installed.
    """
    ensure_home()
    import openvino

    return _core(openvino)


@cache
def _core(openvino: ModuleType) -> Any:
    return openvino.Core()
