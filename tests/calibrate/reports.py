"""Reports on invented predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s2d_edge.calibrate.graphs.sensitivity import LayerSensitivity
from s2d_edge.calibrate.measure.drop import drop_between
from s2d_edge.calibrate.measure.pair import Measurement
from s2d_edge.calibrate.report.details import ClipPredictions, count_outcomes, most_changed, worst_class
from s2d_edge.calibrate.report.records import Details, DropReport
from s2d_edge.calibrate.report.side import Side
from s2d_edge.calibrate.search.gate import GateLimits, GateReport, Trial, allowance
from s2d_edge.contracts.bundle import CalibrationClip, CalibrationRecord, EngineIdentity
from s2d_edge.contracts.evaluation import gather, score
from s2d_edge.contracts.probability_scores import score_probabilities

LABELS = ("red", "green", "blue")
LAYERS = (
    LayerSensitivity(name="blocks.0.fc1", layers=("fc1",), macs=30, rms_logit_diff=0.2),
    LayerSensitivity(name="head", layers=("head",), macs=10, rms_logit_diff=0.01),
)


def measured(predicted: NDArray[np.int64], name: str, latency_ms: float) -> Measurement:
    logits = [np.eye(3, dtype=np.float32)[[label]] * 4 for label in predicted]
    return Measurement(engine=name, predictions=gather(logits), latency_ms=np.array([latency_ms]))


def clips_of(
    truth: NDArray[np.int64], before: NDArray[np.int64], after: NDArray[np.int64]
) -> ClipPredictions:
    return ClipPredictions(
        paths=tuple(f"clips/{number}.png" for number in range(len(truth))),
        truth=truth,
        fp32=measured(before, "FP32 on X", 40.0).predictions,
        int8=measured(after, "INT8 on X", 10.0).predictions,
    )


def _details(clips: ClipPredictions) -> Details:
    return Details(
        outcomes=count_outcomes(clips),
        worst_class=worst_class(clips, LABELS),
        most_changed=most_changed(clips, LABELS),
        clips_sha256=clips.sha256,
        engine=EngineIdentity(runtime="OpenVINO 1", device="cpu", name="X"),
        at_home=True,
        answer="clip",
        timed_answers=1,
        sensitivity=LAYERS,
        sensitivity_clips=4,
    )


def _votes(truth: NDArray[np.int64]) -> NDArray[np.float32]:
    """Seven of ten votes for the label, three for the next."""
    shares = np.array([[0.7, 0.3, 0.0], [0.0, 0.7, 0.3], [0.3, 0.0, 0.7]], dtype=np.float32)
    return shares[truth]


def _side(bundle: str, measurement: Measurement, truth: NDArray[np.int64], size_bytes: int) -> Side:
    return Side(
        bundle=bundle,
        engine=measurement.engine,
        score=score(truth, measurement.predictions.predicted, LABELS)
        | score_probabilities(truth, measurement.predictions.probabilities, _votes(truth)),
        size_bytes=size_bytes,
        latency_p50_ms=measurement.percentile_ms(50),
        latency_p95_ms=measurement.percentile_ms(95),
        graph_sha256=f"hash of {bundle}",
    )


def report_of(truth: NDArray[np.int64], before: NDArray[np.int64], after: NDArray[np.int64]) -> DropReport:
    fp32, int8 = measured(before, "FP32 on X", 40.0), measured(after, "INT8 on X", 10.0)
    calibration = CalibrationRecord(
        data="colours",
        split="train",
        seed=0,
        recipe={"preset": "mixed"},
        int8_mac_fraction=0.95,
        clips=(CalibrationClip(path="a.png", sha256="0"),),
    )
    return DropReport(
        target="intel-cpu",
        fp32=_side("b", fp32, truth, 4_000_000),
        int8=_side("b-int8", int8, truth, 1_000_000),
        drop=drop_between(fp32.predictions, int8.predictions, truth, 3, seed=0),
        calibration=calibration,
        evaluation_data="colours",
        evaluation_split="test",
        frames=len(truth),
        faces_missed=0,
        details=_details(clips_of(truth, before, after)),
    )


def trial_of(
    truth: NDArray[np.int64],
    before: NDArray[np.int64],
    after: NDArray[np.int64],
    *,
    passed: bool,
    step: str = "the target's recipe",
    change: str = "none",
) -> Trial:
    clips = clips_of(truth, before, after)
    return Trial(
        step=step,
        change=change,
        passed=passed,
        drop=drop_between(clips.fp32, clips.int8, truth, 3, seed=0),
        int8_mac_fraction=0.95,
        times_fp32=0.25,
        outcome="chosen" if passed else "WAR falls",
    )


def gate_of(*trials: Trial, n: int = 120) -> GateReport:
    """A gate of 0.5 points and 97 % on as many clips of each class."""
    allowed = allowance([n // 3] * 3, GateLimits(max_drop_pp=0.5, min_agreement=0.97))
    return GateReport(
        max_drop_pp=allowed.war_pp,
        uar_allowed_pp=allowed.uar_pp,
        granularity_pp=allowed.granularity_pp,
        rarest_class=LABELS[allowed.rarest],
        split="val",
        carved_from=None,
        n=n,
        trials=trials,
        min_agreement=allowed.agreement,
    )


TRUTH = np.tile([0, 1, 2], 40)
GOOD = np.where(np.arange(120) < 12, (TRUTH + 1) % 3, TRUTH)  # 108 of 120 right


def worsened(clips: int) -> NDArray[np.int64]:
    """Return GOOD with the last ``clips`` predictions wrong, (120,) int64."""
    predicted = GOOD.copy()
    predicted[-clips:] = (TRUTH[-clips:] + 1) % 3
    return predicted
