"""Run graphs of a face search on one CPU core, by OpenVINO or ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import GraphFile
from s2d_edge.core.errors import MissingExtraError
from s2d_edge.core.openvino_core import openvino_core

Floats = NDArray[np.float32]
# A picture (1, S, S, 3) float32 to the two outputs of a graph, the larger one first.
Graph = Callable[[Floats], tuple[Floats, Floats]]
Compile = Callable[[Path], Graph]  # compiles the graph of a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """An installed runtime on one CPU core."""

    name: Literal["openvino", "onnxruntime"]
    compiled: Compile


def cpu_runtime(graph: GraphFile = "model.xml") -> Runtime:
    """Return the runtime that also runs a bundle's graph of this kind, else the other one.

    Raises:
        MissingExtraError: neither is installed.
    """
    finders = (openvino_runtime, onnxruntime_runtime)
    for find in finders if graph == "model.xml" else reversed(finders):
        runtime = find()
        if runtime is not None:
            return runtime
    raise MissingExtraError("onnxruntime", "ort", "searching for faces with a bundle's graphs")


def openvino_runtime() -> Runtime | None:
    """Return OpenVINO as a runtime; None where it is not installed."""
    try:
        core = openvino_core()
    except ModuleNotFoundError:
        return None
    # Points must not depend on how a CPU rounds: without the hint some compute in bfloat16.
    properties = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}

    def compiled(file: Path) -> Graph:
        request = core.compile_model(str(file), "CPU", properties).create_infer_request()
        return lambda picture: ordered(list(request.infer({0: picture}, share_inputs=True).values()))

    return Runtime(name="openvino", compiled=compiled)


def onnxruntime_runtime() -> Runtime | None:
    """Return ONNX Runtime as a runtime; None where it is not installed."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return None

    def compiled(file: Path) -> Graph:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        (name,) = (each.name for each in session.get_inputs())
        return lambda picture: ordered(session.run(None, {name: picture}))

    return Runtime(name="onnxruntime", compiled=compiled)


def ordered(outputs: Sequence[Any]) -> tuple[Floats, Floats]:
    """Return a graph's two outputs, the larger one first."""
    one, other = outputs
    return (one, other) if one.size > other.size else (other, one)
