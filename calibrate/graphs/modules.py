"""The module that an operation of a graph comes from: export names operations after them."""

from __future__ import annotations

import re

_OPENVINO = re.compile(r"__module\.([\w.]+)/")


def module_of(operation: str) -> str:
    """The module, from an operation's name: MODULE/NODE in ONNX graphs, __module.MODULE/… in OpenVINO's.

    The name itself where it tells none.
    """
    found = _OPENVINO.match(operation)
    return found[1] if found else operation.rpartition("/")[0] or operation
