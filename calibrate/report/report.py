"""The accuracy-drop report: what was measured, and the verdict on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from s2d_edge.calibrate.graphs.sensitivity import LayerSensitivity
from s2d_edge.calibrate.measure.drop import Drop
from s2d_edge.calibrate.measure.pair import Measurement
from s2d_edge.calibrate.search.gate import NO_CHANGE, GateReport, allowance
from s2d_edge.contracts.bundle import AccuracyRecord, CalibrationRecord, EngineIdentity
from s2d_edge.contracts.evaluation import Predictions, score
from s2d_edge.core import metrics

# Devices that a bundle is made for and that a workstation may lack.
_TARGET_DEVICES = {
    "jetson": "a Jetson, nor with TensorRT",
    "intel-npu": "an Intel NPU",
    "intel-gpu": "an Intel GPU",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two graphs.

    Attributes:
        bundle: its name.
        engine: runtime and device in use.
        score: what :func:`s2d_edge.contracts.evaluation.score` returns.
        size_bytes: graph and weights on disk.
        latency_p50_ms, latency_p95_ms: of one answer.
    """

    bundle: str
    engine: str
    score: dict[str, Any]
    size_bytes: int
    latency_p50_ms: float
    latency_p95_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """How many clips ended how."""

    both_right: int
    only_fp32_right: int
    only_int8_right: int
    both_wrong_alike: int
    both_wrong_differently: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDrop:
    """One class.

    Attributes:
        drop_pp: FP32's recall minus INT8's, percentage points.
        lost, won: clips of it that only FP32, and only INT8, answers rightly.
    """

    label: str
    support: int
    drop_pp: float
    lost: int
    won: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedClip:
    """A clip whose answer INT8 changed.

    Attributes:
        path: relative to the dataset, where it lies below it.
        label: the true class.
        fp32, int8: the two answers.
        distance: total variation between the two sets of probabilities, 0 to 1.
        fp32_probabilities, int8_probabilities: in the order of the labels.
    """

    path: str
    label: str
    fp32: str
    int8: str
    distance: float
    fp32_probabilities: tuple[float, ...]
    int8_probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipAnswers:
    """Both graphs' answers to every clip.

    Attributes:
        paths: n clips, relative to the dataset where they lie below it.
        truth: (n,) class indices.
        fp32, int8: (n, K).
    """

    paths: tuple[str, ...]
    truth: metrics.Labels
    fp32: Predictions
    int8: Predictions

    @property
    def distances(self) -> NDArray[np.float64]:
        """(n,) total variation between the two sets of probabilities, 0 to 1."""
        apart = np.abs(self.fp32.probabilities.astype(np.float64) - self.int8.probabilities)
        return np.asarray(apart.sum(axis=1) / 2)

    @property
    def sha256(self) -> str:
        """Of the clips' names and labels: reports that share it were measured on the same list."""
        lines = "\n".join(f"{path}\t{label}" for path, label in zip(self.paths, self.truth, strict=True))
        return hashlib.sha256(lines.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is known of single clips, classes and layers; reports of version 1 had none of it.

    Attributes:
        outcomes: of all clips.
        worst_class: the class whose recall falls most; None where none falls.
        most_changed: clips whose probabilities moved most, the first the most.
        clips_sha256: see :attr:`ClipAnswers.sha256`.
        engine: what the INT8 graph was measured with.
        at_home: whether the device measured on is one that the target names.
        answer: what one timed answer takes in: a clip of T frames, or in a stream a frame.
        timed_answers: of each graph, in turn.
        sensitivity: the most costly group of layers first; empty if not measured.
        sensitivity_clips: calibration clips it was measured on.
    """

    outcomes: Outcomes
    worst_class: ClassDrop | None
    most_changed: tuple[ChangedClip, ...]
    clips_sha256: str
    engine: EngineIdentity
    at_home: bool
    answer: Literal["clip", "frame"]
    timed_answers: int
    sensitivity: tuple[LayerSensitivity, ...] = ()
    sensitivity_clips: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DropReport:
    """Everything that was measured when a bundle was calibrated.

    Attributes:
        evaluation_split: the split measured on.
        faces_missed, frames: frames of it without a face, of how many.
        skipped: clips of it that could not be read.
        findings: None in a report of version 1.
        gate: which recipes were tried; None where any drop was allowed, and in reports before version 3.
    """

    target: str
    fp32: Side
    int8: Side
    drop: Drop
    calibration: CalibrationRecord
    evaluation_data: str
    evaluation_split: str
    frames: int
    faces_missed: int
    skipped: int = 0
    findings: Findings | None = None
    gate: GateReport | None = None

    @property
    def speedup(self) -> float:
        """How many times faster INT8 answered, at the median."""
        return self.fp32.latency_p50_ms / self.int8.latency_p50_ms

    def as_record(self) -> AccuracyRecord:
        """For the manifest."""
        return AccuracyRecord(
            data=self.evaluation_data,
            split=self.evaluation_split,
            n=self.fp32.score["n"],
            fp32_war=self.fp32.score["war"],
            fp32_uar=self.fp32.score["uar"],
            int8_war=self.int8.score["war"],
            int8_uar=self.int8.score["uar"],
            drop_war_pp=self.drop.war_pp,
            drop_war_pp_ci95=self.drop.war_pp_ci95,
            drop_uar_pp=self.drop.uar_pp,
            drop_uar_pp_ci95=self.drop.uar_pp_ci95,
            agreement=self.drop.agreement,
            device=self.int8.engine,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the report means.

    Attributes:
        passed: neither WAR nor UAR drops by more than allowed.
        sentences: for people; the first one is the verdict itself.
    """

    passed: bool
    sentences: tuple[str, ...]


def side(
    bundle: str,
    measured: Measurement,
    truth: metrics.Labels,
    labels: Sequence[str],
    size_bytes: int,
    seed: int,
) -> Side:
    """Score one graph's answers."""
    return Side(
        bundle=bundle,
        engine=measured.engine,
        score=score(truth, measured.predictions.predicted, labels, seed=seed),
        size_bytes=size_bytes,
        latency_p50_ms=measured.percentile_ms(50),
        latency_p95_ms=measured.percentile_ms(95),
    )


def recall_drops(fp32: Side, int8: Side) -> dict[str, float | None]:
    """FP32 minus INT8 recall of each class, in percentage points; None without support."""
    one, other = fp32.score["per_class"], int8.score["per_class"]
    return {
        label: 100 * (one[label]["recall"] - other[label]["recall"]) if one[label]["support"] else None
        for label in one
    }


def outcomes_of(clips: ClipAnswers) -> Outcomes:
    """Count how the clips ended."""
    before, after = clips.fp32.predicted, clips.int8.predicted
    right, still = before == clips.truth, after == clips.truth
    wrong, alike = ~right & ~still, before == after
    return Outcomes(
        both_right=int(np.sum(right & still)),
        only_fp32_right=int(np.sum(right & ~still)),
        only_int8_right=int(np.sum(~right & still)),
        both_wrong_alike=int(np.sum(wrong & alike)),
        both_wrong_differently=int(np.sum(wrong & ~alike)),
    )


def worst_class(clips: ClipAnswers, labels: Sequence[str]) -> ClassDrop | None:
    """The class whose recall falls most, of several the one with more clips; None where none falls."""
    drops = []
    for index, label in enumerate(labels):
        of_class = clips.truth == index
        right, still = clips.fp32.predicted[of_class] == index, clips.int8.predicted[of_class] == index
        lost, won = int(np.sum(right & ~still)), int(np.sum(~right & still))
        if lost > won:
            support = int(of_class.sum())
            drop_pp = 100 * (lost - won) / support
            drops.append(ClassDrop(label=label, support=support, drop_pp=drop_pp, lost=lost, won=won))
    return max(drops, key=lambda one: (one.drop_pp, one.support), default=None)


def most_changed(clips: ClipAnswers, labels: Sequence[str], count: int = 10) -> tuple[ChangedClip, ...]:
    """The clips whose probabilities moved most; none that did not move."""
    distances = clips.distances
    return tuple(
        ChangedClip(
            path=clips.paths[index],
            label=labels[clips.truth[index]],
            fp32=labels[clips.fp32.predicted[index]],
            int8=labels[clips.int8.predicted[index]],
            distance=float(distances[index]),
            fp32_probabilities=tuple(clips.fp32.probabilities[index].tolist()),
            int8_probabilities=tuple(clips.int8.probabilities[index].tolist()),
        )
        for index in np.argsort(-distances.round(6), kind="stable")[:count]  # ties in the split's order
        if distances[index] > 0
    )


def not_measured(report: DropReport) -> tuple[str, ...]:
    """What nobody may read out of this report, a sentence each."""
    found, device = report.findings, _TARGET_DEVICES.get(report.target)
    sentences = []
    if found is None:
        sentences.append(
            "This report is of version 1: it does not tell which machine was measured on, single clips, nor "
            "single layers; calibrate the FP32 bundle again for those."
        )
    if device is not None and (found is None or not found.at_home):
        sentences.append(
            f"The device: nothing {'is known to have been' if found is None else 'was'} run on {device}. "
            f"Every answer and time here is of {report.int8.engine}. On the device, "
            "'s2d-edge selftest' compares its answers with these, 's2d-edge evaluate' measures its accuracy, "
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


def judge(report: DropReport) -> Verdict:
    """Say what the drop proves, and what the gate made of it."""
    n = report.fp32.score["n"]
    sentences = [_drop_sentence(report.drop, n)]
    if report.gate is not None:
        sentences.append(gate_sentence(report.gate))
        sentences += _split_sentences(report, report.gate)
    majority = max(entry["support"] for entry in report.fp32.score["per_class"].values()) / n
    if report.fp32.score["war"] <= majority:
        sentences.append(
            f"FP32 itself answers no better (WAR {100 * report.fp32.score['war']:.1f} %) than naming the "
            f"most frequent class always ({100 * majority:.1f} %): a drop of such a model says nothing."
        )
    return Verdict(passed=report.gate is None or report.gate.passed, sentences=tuple(sentences))


def gate_sentence(gate: GateReport) -> str:
    """What the gate decided, and on what."""
    best, count = gate.best, sum(trial.drop is not None for trial in gate.trials)
    assert best.drop is not None  # the first recipe was measured, or nothing would be reported
    lost = (
        f"WAR {_loss(best.drop.war_pp)} and UAR {_loss(best.drop.uar_pp)} on the {gate.n} validation clips, "
        f"{100 * best.drop.agreement:.2f} % of which are answered alike"
    )
    allowed = f"{gate.max_drop_pp:g} pp"
    if gate.uar_allowed_pp > gate.max_drop_pp:
        allowed += f", and of UAR {gate.uar_allowed_pp:.2f} pp, one clip of {gate.rarest_class!r}"
    if gate.min_agreement > 0:
        allowed += f"; wanted are {100 * gate.min_agreement:g} % alike"
    if not gate.passed:
        nearest = f"{best.step}" + (f" ({best.change})" if best.change != NO_CHANGE else "")
        return (
            f"None of the recipes that were measured ({count}) is good enough. With the best of them, "
            f"{nearest}, {lost}; allowed are {allowed}."
        )
    if count == 1:
        return f"The target's own recipe is good enough: {lost}; allowed are {allowed}."
    return (
        f"The target's own recipe was not good enough, and number {count} of those measured is: {best.step} "
        f"({best.change}). With it {lost}; allowed are {allowed}."
    )


def _split_sentences(report: DropReport, gate: GateReport) -> list[str]:
    """Said where the split measured on sees more lost than was allowed on the validation clips."""
    drop, split = report.drop, report.evaluation_split
    supports = [entry["support"] for entry in report.fp32.score["per_class"].values()]
    allowed = allowance(supports, gate.max_drop_pp, gate.min_agreement)
    missed = []
    if not allowed.allows(drop.war_pp, drop.uar_pp, agreement=1.0):
        worst = max(drop.war_pp, drop.uar_pp)
        missed.append(
            f"the larger drop of WAR and UAR, {worst:.2f} pp, is above the allowed {gate.max_drop_pp:g} pp"
        )
    if drop.agreement < allowed.agreement:
        missed.append(
            f"{100 * drop.agreement:.2f} % are answered alike, fewer than the wanted "
            f"{100 * allowed.agreement:g} %"
        )
    if not missed:
        return []
    return [
        f"On {split!r} {' and '.join(missed)}, all the same. The validation clips decide, and {split!r} was "
        "measured once, with the recipe they chose; the intervals say how much of this may be chance."
    ]


def _drop_sentence(drop: Drop, n: int) -> str:
    low, high = drop.war_pp_ci95
    if not drop.lost and not drop.won:
        return (
            f"INT8 is right and wrong on the same clips as FP32, all {n} of them; by the rule of three this "
            f"excludes, with 95 % confidence, only a WAR drop of more than {min(300 / n, 100):.2f} pp."
        )
    measured = (
        f"WAR {_loss(drop.war_pp)} (paired 95 % interval of the drop {low:+.2f} … {high:+.2f} pp, "
        f"McNemar p = {drop.mcnemar_p:.2g})"
    )
    if low > 0 and drop.mcnemar_p < 0.05:
        return f"INT8 costs accuracy: {measured} on {n} clips."
    if high < 0 and drop.mcnemar_p < 0.05:
        return f"INT8 answers better on this split: {measured} on {n} clips."
    return f"No drop is proved: {measured}; the interval is what {n} clips can tell."


def _loss(points: float) -> str:
    if points == 0:
        return "does not change"
    return f"falls by {points:.2f} pp" if points > 0 else f"rises by {-points:.2f} pp"
