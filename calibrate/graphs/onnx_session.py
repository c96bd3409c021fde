"""How an ONNX graph is asked in between: on the CPU, its INT8 sums exact, without a bundle around it."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime

from s2d_edge.firmware_host.engines.exact_int8 import ONNX_RUNTIME as EXACT_INT8

_ERRORS_ONLY = 3


def cpu_session(graph: Path | onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A session of ONNX Runtime's CPU provider."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    for name, value in EXACT_INT8.items():
        options.add_session_config_entry(name, value)
    source = str(graph) if isinstance(graph, Path) else graph.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
