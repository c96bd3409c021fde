"""Limits of the report: what it did not measure."""

from __future__ import annotations

from s2d_edge.calibrate.report.records import DropReport

# Devices that a bundle is made for and that a workstation may lack.
_TARGET_DEVICES = {
    "jetson": "a Jetson, nor with TensorRT",
    "intel-npu": "an Intel NPU",
    "intel-gpu": "an Intel GPU",
}


def not_measured(report: DropReport) -> tuple[str, ...]:
    """List what the report does not show, a sentence each."""
    found, device = report.details, _TARGET_DEVICES.get(report.target)
    sentences = []
    if found is None:
        sentences.append(
            "This report is of version 1: it names no machine, no single clips and no single layers; "
            "calibrate the FP32 bundle again for those."
        )
    if device is not None and (found is None or not found.at_home):
        sentences.append(
            f"The device: nothing {'is known to have been' if found is None else 'was'} run on {device}. "
            f"Every prediction and time here is of {report.int8.engine}. On the device, "
            "'s2d-edge selftest' compares its logits with these, 's2d-edge evaluate' measures its accuracy, "
            "and 's2d-edge benchmark' its speed."
        )
    if found is not None:
        sentences.append(
            f"Any other machine: the times are of this one ({found.engine.name}), "
            "with whatever else ran on it."
        )
        if not found.sensitivity:
            sentences.append("Single layers: 's2d-edge calibrate --sensitivity 4' measures them.")
    sentences.append("Memory, energy and heat, and the frame rate of a live camera.")
    sentences.append(
        f"Other people and places than those of {report.evaluation_data}/{report.evaluation_split}."
    )
    return tuple(sentences)
