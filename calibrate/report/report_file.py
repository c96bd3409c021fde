"""``report.json`` and the table of clips beside it, written and read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from s2d_edge.calibrate.report.details import ClipPredictions
from s2d_edge.calibrate.report.records import Details, DropReport, Verdict
from s2d_edge.calibrate.report.side import recall_drops
from s2d_edge.calibrate.report.verdict import gate_sentence
from s2d_edge.calibrate.search.gate import GateReport
from s2d_edge.contracts.bundle import Bundle, Fraction
from s2d_edge.core.errors import BundleError
from s2d_edge.core.files import write_text
from s2d_edge.core.json_files import read_json

REPORT = "report.json"
CLIPS = "report-clips.csv"
HTML = "report.html"
# 3 did not name its graphs by hash, and always decided; 2 had no gate; 1 had no details ("findings"), and did
# not name its version.
FORMAT_VERSION = 4
_READABLE = (1, 2, 3, FORMAT_VERSION)
# Fields of the report whose keys in JSON have other names.
_RENAMED = {"evaluation_data": "data", "evaluation_split": "split", "details": "findings"}
_REPORT: TypeAdapter[DropReport] = TypeAdapter(DropReport)
_VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)


class _ClassScore(BaseModel):
    model_config = ConfigDict(strict=True)

    support: NonNegativeInt
    recall: Fraction | None

    @model_validator(mode="after")
    def _check_recall(self) -> _ClassScore:
        if self.support and self.recall is None:
            raise ValueError(f"a class with {self.support} clips has no recall")
        return self


class _VotesScore(BaseModel):
    model_config = ConfigDict(strict=True)

    cross_entropy_nats: NonNegativeFloat
    jensen_shannon_bits: Fraction


class _Score(BaseModel):
    """Fields of a score that the report's renderings read."""

    model_config = ConfigDict(strict=True)

    n: PositiveInt
    war: Fraction
    uar: Fraction
    macro_f1: Fraction
    war_ci95: list[Fraction] = Field(min_length=2, max_length=2)
    uar_ci95: list[Fraction] = Field(min_length=2, max_length=2)
    per_class: dict[str, _ClassScore]
    confusion: list[list[NonNegativeInt]]
    ece: Fraction = 0.0  # older reports have neither
    votes: _VotesScore | None = None


def as_json(report: DropReport, verdict: Verdict) -> dict[str, Any]:
    """Return the report for machines: rates as fractions, drops in percentage points (``_pp``)."""
    return {
        "format_version": FORMAT_VERSION,
        "target": report.target,
        "data": report.evaluation_data,
        "split": report.evaluation_split,
        "n": report.fp32.score["n"],
        "frames": report.frames,
        "faces_missed": report.faces_missed,
        "skipped": report.skipped,
        "fp32": asdict(report.fp32),
        "int8": asdict(report.int8),
        "drop": asdict(report.drop),
        "drop_recall_pp": recall_drops(report.fp32, report.int8),
        "findings": None if report.details is None else _details(report.details),
        "gate": None if report.gate is None else _gate(report.gate),
        "speedup_p50": report.speedup,
        "int8_mac_fraction": report.calibration.int8_mac_fraction,
        "calibration": report.calibration.model_dump(mode="json"),
        "passed": verdict.passed,
        "verdict": list(verdict.sentences),
    }


def rejection_as_json(target: str, data: str, gate: GateReport) -> dict[str, Any]:
    """Return the JSON for a bundle that fails the gate: only the validation clips were measured on."""
    return {
        "format_version": FORMAT_VERSION,
        "target": target,
        "data": data,
        "gate": _gate(gate),
        "passed": False,
        "verdict": [gate_sentence(gate)],
    }


def _gate(gate: GateReport) -> dict[str, Any]:
    return asdict(gate) | {"is_decisive": gate.is_decisive, "clips_needed": gate.clips_needed}


def _details(details: Details) -> dict[str, Any]:
    return asdict(details) | {"engine": details.engine.model_dump()}


def read_report(folder: Path) -> tuple[DropReport, Verdict, dict[str, Any]]:
    """Read the report of a bundle.

    Returns:
        The report, the verdict written in it, and the JSON they come from.

    Raises:
        BundleError: there is none, or neither this version nor an older one writes such a report.
    """
    file = folder / REPORT
    if not file.is_file():
        raise BundleError(
            f"{folder} holds no {REPORT}; INT8 bundles have one: make one with 's2d-edge calibrate'"
        )
    payload = read_json(file, BundleError, "calibrate again")
    try:
        json.dumps(payload, allow_nan=False)
    except ValueError:
        raise BundleError(f"{file} holds NaN or Infinity, which is no measurement; calibrate again") from None
    version = payload.get("format_version", 1)
    if version not in _READABLE:
        raise BundleError(
            f"{file} has format_version {version!r}; this s2d-edge reads 1 to {FORMAT_VERSION}: "
            "calibrate again, or use the s2d-edge that wrote it"
        )
    try:
        fields = {name: payload[key] for name, key in _RENAMED.items() if key in payload}
        report = _REPORT.validate_python(payload | fields)
        fp32, int8 = (_Score.model_validate(side.score) for side in (report.fp32, report.int8))
        if [(name, each.support) for name, each in fp32.per_class.items()] != [
            (name, each.support) for name, each in int8.per_class.items()
        ]:
            raise BundleError(f"{file}: FP32 and INT8 were measured on other classes; calibrate again")
        verdict = _VERDICT.validate_python({"passed": payload["passed"], "sentences": payload["verdict"]})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(_RENAMED.get(str(part), str(part)) for part in first["loc"])
        raise BundleError(f"{file}: field {field!r}: {first['msg']}; calibrate again") from None
    except KeyError as error:
        raise BundleError(f"{file}: field {error} is missing; calibrate again") from None
    return report, verdict, payload


def report_of(bundle: Bundle) -> tuple[DropReport, Verdict, dict[str, Any]]:
    """Read the report of a bundle, if it is about this bundle's graph.

    Raises:
        BundleError: what :func:`read_report` raises, or the figures are another graph's.
    """
    found = read_report(bundle.path)
    if found[0].int8.graph_sha256 not in (None, bundle.graph_sha256):
        raise BundleError(
            f"{bundle.path / REPORT} holds figures of another graph than this bundle's (sha256); "
            "calibrate again"
        )
    return found


def save_clips(clips: ClipPredictions, labels: tuple[str, ...], path: Path) -> None:
    """Write every clip's label, predicted labels and logits as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    logits = [f"{precision}_logit_{label}" for precision in ("fp32", "int8") for label in labels]
    table.writerow(["path", "label", "fp32", "int8", "distance", *logits])
    for number, name in enumerate(clips.paths):
        table.writerow(
            [
                name,
                labels[clips.truth[number]],
                labels[clips.fp32.predicted[number]],
                labels[clips.int8.predicted[number]],
                f"{clips.distances[number]:.6f}",
                *(f"{value:.6g}" for side in (clips.fp32, clips.int8) for value in side.logits[number]),
            ]
        )
    write_text(path, text.getvalue())
