"""The modules that the operations of a graph come from: export names operations after them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_MODULE = re.compile(r"__module\.([\w.]+)/")  # of OpenVINO's names; ONNX nodes are named MODULE/NODE


def modules_of(graph: Path) -> Mapping[str, str]:
    """The module each operation of a graph comes from, by its name; the name itself where it tells none."""
    return _onnx_modules(graph) if graph.suffix == ".onnx" else _openvino_modules(graph)


def _onnx_modules(graph: Path) -> dict[str, str]:
    from calibrate.onnx_graph import load_named

    names = [node.name for node in load_named(graph).graph.node]
    return {name: name.rpartition("/")[0] or name for name in names}


def _openvino_modules(graph: Path) -> dict[str, str]:
    import openvino as ov

    from s2d_edge.lint.openvino_view import name_of

    found = {}
    for op in ov.Core().read_model(graph).get_ops():
        module = _MODULE.match(name_of(op))
        found[name_of(op)] = module[1] if module else name_of(op)
    return found
