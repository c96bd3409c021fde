"""Load an ONNX graph with named nodes, and run one on the CPU with exact INT8 sums, without a bundle."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime

from s2d_edge.firmware_host.engines.exact_int8 import ONNX_RUNTIME as EXACT_INT8

_ERRORS_ONLY = 3


def load_named(path: Path) -> onnx.ModelProto:
    """Load a graph and give every node a name: NNCF finds nodes to ignore by theirs."""
    model = onnx.load(path)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    return model


def cpu_session(graph: Path | onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Open a session of ONNX Runtime's CPU provider."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    for name, value in EXACT_INT8.items():
        options.add_session_config_entry(name, value)
    source = str(graph) if isinstance(graph, Path) else graph.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
