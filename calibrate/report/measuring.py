"""Measure the drop on the evaluation split, and the cost of single layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from s2d_edge.calibrate.clips.choice import ChosenClips
from s2d_edge.calibrate.clips.disjoint import relative_path
from s2d_edge.calibrate.graphs.sensitivity import affordable_clips, layer_sensitivity
from s2d_edge.calibrate.measure.drop import drop_between
from s2d_edge.calibrate.measure.pair import measure_pair
from s2d_edge.calibrate.report.details import ClipPredictions, count_outcomes, most_changed, worst_class
from s2d_edge.calibrate.report.records import Details, DropReport
from s2d_edge.calibrate.report.side import score_side
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console
from s2d_edge.core.errors import QuantizationError
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.preparing.tally import LoadingTally
from s2d_edge.data.reading.dataset import vote_table
from s2d_edge.firmware_host.engines import is_home, open_engine
from s2d_edge.firmware_host.engines.exact_int8 import int8_hindrance


def measure_report(
    source: Bundle, int8: Bundle, clips: ChosenClips, device: str, console: Console
) -> tuple[DropReport, ClipPredictions]:
    """Predict the evaluation clips with FP32 and INT8, and compare the two.

    Args:
        source: the FP32 bundle.
        device: both graphs run on it.

    Returns:
        The report, without a gate and without single layers, and the predictions behind it.

    Raises:
        DataError: no clip can be read.
        S2DEdgeError: what loading and running raise.
    """
    labels, choice = source.manifest.labels, clips.choice
    tally = LoadingTally()
    with open_engine(source, device) as fp32_engine, open_engine(int8, device) as int8_engine:
        console.say(f"measuring FP32 and INT8 in turn: {int8_engine.description}")
        where = f"{clips.dataset.name}/{choice.eval_split}"
        with console.progress(f"measuring on {where}", len(clips.evaluation)) as advance:
            loading = load_many(
                [sample.path for sample in clips.evaluation],
                source.manifest.spec,
                source.manifest.crop,
                on_unreadable=tally.skip if choice.skip_unreadable else None,
            )
            measured = measure_pair(fp32_engine, int8_engine, tally.watch(loading, advance))
        identity = int8_engine.identity
    tally.report(console)
    readable = tally.readable(clips.evaluation)
    predictions = ClipPredictions(
        paths=tuple(relative_path(sample.path, clips.dataset.root) for sample in readable),
        truth=np.array([sample.label for sample in readable], dtype=np.int64),
        fp32=measured[0].predictions,
        int8=measured[1].predictions,
    )
    fp32_side, int8_side = (
        score_side(bundle, one, predictions.truth, vote_table(readable), choice.seed)
        for bundle, one in zip((source, int8), measured, strict=True)
    )
    assert int8.manifest.calibration is not None  # the manifest's own check
    report = DropReport(
        target=source.manifest.target,
        fp32=fp32_side,
        int8=int8_side,
        drop=drop_between(predictions.fp32, predictions.int8, predictions.truth, len(labels), choice.seed),
        calibration=int8.manifest.calibration,
        evaluation_data=clips.dataset.name,
        evaluation_split=choice.eval_split,
        frames=tally.frames,
        faces_missed=tally.faces_missed,
        skipped=len(tally.unreadable),
        details=Details(
            outcomes=count_outcomes(predictions),
            worst_class=worst_class(predictions, labels),
            most_changed=most_changed(predictions, labels),
            clips_sha256=predictions.sha256,
            engine=identity,
            at_home=is_home(source.manifest.target, identity.device),
            answer="frame" if source.manifest.mode == "stream" else "clip",
            timed_answers=len(measured[1].latency_ms),
            int8_hindrance=int8_hindrance() if identity.device == "cpu" else "",
        ),
    )
    return report, predictions


def add_sensitivity(
    report: DropReport,
    origin: Bundle,
    int8: Bundle,
    windows: Sequence[Clip],
    requested: int | None,
    console: Console,
) -> DropReport:
    """Add the cost of single layers to a report; where they cannot be measured, warn.

    Args:
        origin: the FP32 bundle that INT8 was quantized from. After fine-tuning it is not the given one, whose
            layers make no model together with these.
        windows: calibration clips, (1, T, S, S, 3) uint8 each.
        requested: number of them to measure on, 0 for none; None takes as many as take little time.
    """
    clips = windows[: affordable_clips(int8.graph_path) if requested is None else requested]
    if not clips or report.details is None:
        return report
    try:
        layers = layer_sensitivity(origin, int8, clips, console)
    except QuantizationError as error:
        console.warn(f"single layers were not measured: {error}")
        return report
    details = replace(report.details, sensitivity=layers, sensitivity_clips=len(clips))
    return replace(report, details=details)
