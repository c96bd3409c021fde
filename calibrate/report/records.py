"""Data of the accuracy-drop report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from s2d_edge.calibrate.graphs.sensitivity import LayerSensitivity
from s2d_edge.calibrate.measure.drop import Drop
from s2d_edge.calibrate.report.side import Side
from s2d_edge.calibrate.search.gate import GateReport
from s2d_edge.contracts.bundle import AccuracyRecord, CalibrationRecord, EngineIdentity

_Probabilities = Annotated[tuple[float, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Numbers of clips by the graphs that predict the true label; wrong predictions agree or differ."""

    both_right: int
    only_fp32_right: int
    only_int8_right: int
    both_wrong_alike: int
    both_wrong_differently: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDrop:
    """Drop of one class.

    Attributes:
        drop_pp: FP32's recall minus INT8's, percentage points.
        lost, won: clips of it whose label only FP32, or only INT8, predicts.
    """

    label: str
    support: int
    drop_pp: float
    lost: int
    won: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedClip:
    """A clip whose probabilities INT8 changed.

    Attributes:
        path: relative to the dataset, where it lies below it.
        label: the true class.
        fp32, int8: the two predicted labels.
        distance: total variation between the two sets of probabilities, 0 to 1.
        fp32_probabilities, int8_probabilities: in the order of the labels.
    """

    path: str
    label: str
    fp32: str
    int8: str
    distance: float
    fp32_probabilities: _Probabilities
    int8_probabilities: _Probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Measurements of single clips, classes and layers; absent from reports of version 1.

    Attributes:
        outcomes: of all clips.
        worst_class: the class whose recall falls most; None where none falls.
        most_changed: clips whose probabilities moved most, the first the most.
        clips_sha256: see :attr:`s2d_edge.calibrate.report.details.ClipPredictions.sha256`.
        engine: identity of the engine that ran the INT8 graph.
        at_home: the device measured on is one that the target names.
        answer: input of one timed prediction: a clip of T frames, or in a stream a frame.
        timed_answers: number of timed predictions of each graph, in turn.
        sensitivity: the most costly group of layers first; empty if not measured.
        sensitivity_clips: number of calibration clips it was measured on.
        int8_hindrance: what the processor lacks for INT8 to be faster than FP32, as a sentence's end; empty
            if nothing, or if that is unknown, as in reports before version 4.
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
    int8_hindrance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropReport:
    """Everything that was measured when a bundle was calibrated.

    Attributes:
        evaluation_split: the split measured on.
        faces_missed, frames: frames of it without a face, and all of them.
        skipped: clips of it that could not be read.
        details: None in a report of version 1.
        gate: recipes that were tried; None where any drop passes, and in reports before version 3.
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
    details: Details | None = None
    gate: GateReport | None = None

    @property
    def speedup(self) -> float:
        """Median time of FP32 divided by that of INT8."""
        return self.fp32.latency_p50_ms / self.int8.latency_p50_ms

    def as_record(self) -> AccuracyRecord:
        """Return the accuracy for the manifest."""
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
    """Verdict on the report.

    Attributes:
        passed: INT8 passes the gate, or there is none; None where it passes on too few clips to decide.
        sentences: for people; the first one is the verdict itself.
    """

    passed: bool | None
    sentences: tuple[str, ...]
