"""Find the module of the model that an operation of a graph comes from; export names operations after it."""

from __future__ import annotations

import re

_OPENVINO = re.compile(r"__module\.([\w.]+)/")


def module_of(operation: str) -> str:
    """Return the module in an operation's name: MODULE/NODE in ONNX graphs, __module.MODULE/… in OpenVINO's.

    A name without a module is returned unchanged.
    """
    found = _OPENVINO.match(operation)
    return found[1] if found else operation.rpartition("/")[0] or operation
