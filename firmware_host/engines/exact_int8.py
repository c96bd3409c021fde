"""Settings with which INT8 sums do not overflow on any processor.

x86 without VNNI adds up INT8 products in 16 bits, two at a time, and what does not fit is cut off
(https://docs.openvino.ai/latest/pot_saturation_issue.html). Both runtimes can do without these instructions.
"""

from __future__ import annotations

from s2d_edge.core.processor import instructions

# Times as fast as FP32; less lies within what a machine's other programs change.
WORTH = 1.05
_X86 = "sse2"
_WIDE_SUMS = {"avx_vnni", "avx512_vnni", "amx_int8"}

_ARM_ANY, _ARM_DOT = {"asimd", "neon"}, {"asimddp", "i8mm"}

# Configuration entries of an ONNX Runtime session: it then takes other kernels where there is no VNNI.
ONNX_RUNTIME = {"session.x64quantprecision": "1"}


def sums_overflow() -> bool:
    """Return whether this processor adds up INT8 products in too few bits; False if that is unknown."""
    present = instructions()
    return _X86 in present and not present & _WIDE_SUMS


def int8_hindrance() -> str:
    """Return what this processor lacks for INT8 to be faster than FP32; empty if nothing is known."""
    present = instructions()
    if sums_overflow():
        return (
            "the processor has no VNNI: INT8 products would overflow in the 16 bits it sums them in, so they "
            "are computed in wider numbers, at no gain"
        )
    if present & _ARM_ANY and not present & _ARM_DOT:
        return "the processor has no dot products of INT8 (asimddp, i8mm)"
    return ""


def openvino_properties() -> dict[str, str]:
    """Return properties of OpenVINO's CPU plugin for an INT8 graph.

    Where sums would overflow, quantized values are multiplied in FP32, which is no faster than an FP32 graph.
    The plugin knows the property, but does not list it.
    """
    return {"LP_TRANSFORMS_MODE": "NO"} if sums_overflow() else {}
