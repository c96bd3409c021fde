"""INT8's speed told against FP32 in the same runtime, and where it is not faster, why and what to run."""

from __future__ import annotations

from s2d_edge.calibrate.report.records import DropReport
from s2d_edge.firmware_host.engines.exact_int8 import WORTH


def speed_sentence(report: DropReport) -> str:
    """State how fast INT8 is beside FP32 in the same runtime, and what to run where it is not faster."""
    found = report.details
    unit = "prediction" if found is None else found.answer
    measured = (
        f"INT8 takes {report.int8.latency_p50_ms:.1f} ms a {unit}, FP32 in the same runtime "
        f"{report.fp32.latency_p50_ms:.1f} ms (medians, in turn)"
    )
    if found is not None and not found.at_home:
        return (
            f"{measured}: {report.speedup:.2f} times as fast on {found.engine.device}, which is not the "
            f"device that {report.target} is for; 's2d-edge benchmark' measures it there."
        )
    if report.speedup >= WORTH:
        return f"{measured}: INT8 is {report.speedup:.2f} times as fast on this machine."
    reason = "what its products save is no more than what quantizing and the operations around it cost"
    if found is not None and found.int8_hindrance:
        reason = found.int8_hindrance
    ratio = report.fp32.size_bytes / report.int8.size_bytes
    return (
        f"{measured}: INT8 is not faster on this machine ({report.speedup:.2f} times as fast), since "
        f"{reason}. Here, run the FP32 bundle {report.fp32.bundle}, unless size matters more "
        f"(1:{ratio:.1f})."
    )
