"""The targets: graph formats and execution properties of each. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from s2d_edge.contracts.bundle import GRAPHS, GraphFile, Target
from s2d_edge.core.errors import ConfigError

GraphFormat = Literal["onnx", "openvino"]
GRAPH_FILES: dict[GraphFormat, GraphFile] = {"onnx": "model.onnx", "openvino": "model.xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """One target.

    Attributes:
        formats: graph formats that serve it; of several, the faster on this machine is chosen by measurement.
        not_run: the part of this target that runs on no ordinary machine, as text; empty if there is none.
    """

    formats: tuple[GraphFormat, ...]
    not_run: str


_NOT_RUN: dict[Target, str] = {
    "jetson": "TensorRT: the engine is built and checked on the Jetson",
    "intel-npu": "the NPU",
    "intel-gpu": "the GPU",
}
TARGETS: dict[Target, TargetSpec] = {
    target: TargetSpec(
        formats=tuple(form for file in files for form, own in GRAPH_FILES.items() if own == file),
        not_run=_NOT_RUN.get(target, ""),
    )
    for target, files in GRAPHS.items()
}

# Per format and device, the runtime properties of a full-precision graph. OpenVINO's CPU and GPU would
# otherwise take BF16 or FP16 where the hardware has it, and FP32 would not be FP32; an NPU always
# computes in FP16. ONNX Runtime computes in the graph's own precision, but CUDA would multiply in TF32.
EXECUTION: dict[GraphFormat, dict[str, dict[str, str]]] = {
    "openvino": {
        "cpu": {"INFERENCE_PRECISION_HINT": "f32"},
        "gpu": {"INFERENCE_PRECISION_HINT": "f32"},
        "npu": {"INFERENCE_PRECISION_HINT": "f16"},
    },
    "onnx": {"cuda": {"use_tf32": "0"}},
}


def parse_target(name: str) -> Target:
    """Parse the name of a target.

    Raises:
        ConfigError: no such target.
    """
    for target in get_args(Target):
        if name == target:
            found: Target = target
            return found
    raise ConfigError(f"--target {name!r} is unknown; choose one of {', '.join(get_args(Target))}")
