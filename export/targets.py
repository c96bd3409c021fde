"""The targets: graph formats and execution properties of each. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from s2d_edge.contracts.bundle import Target
from s2d_edge.core.errors import ConfigError

GraphFormat = Literal["onnx", "openvino"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """One target.

    Attributes:
        formats: graph formats that serve it; of several, the faster on this machine is chosen by measurement.
        not_run: the part of this target that runs on no ordinary machine, as text; empty if there is none.
    """

    formats: tuple[GraphFormat, ...]
    not_run: str = field(default="")


TARGETS: dict[Target, TargetSpec] = {
    "jetson": TargetSpec(
        formats=("onnx",), not_run="TensorRT: the engine is built and checked on the Jetson"
    ),
    "intel-npu": TargetSpec(formats=("openvino",), not_run="the NPU"),
    "intel-gpu": TargetSpec(formats=("openvino",), not_run="the GPU"),
    "intel-cpu": TargetSpec(formats=("openvino",)),
    "cpu": TargetSpec(formats=("openvino", "onnx")),
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
