"""``report.json`` and the table of clips beside it: the report for machines, and for whom reads it again."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from s2d_edge.calibrate.report.report import ClipAnswers, DropReport, Findings, Verdict, recall_drops
from s2d_edge.calibrate.search.gate import GateReport
from s2d_edge.core.errors import BundleError
from s2d_edge.core.files import write_text

REPORT = "report.json"
CLIPS = "report-clips.csv"
HTML = "report.html"
FORMAT_VERSION = 3  # 2 had no gate; 1 had no findings, and did not name its version
_READABLE = (1, 2, FORMAT_VERSION)
_REPORT: TypeAdapter[DropReport] = TypeAdapter(DropReport)


def as_json(report: DropReport, verdict: Verdict) -> dict[str, Any]:
    """The report for machines: rates as fractions, drops in percentage points (``_pp``)."""
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
        "findings": None if report.findings is None else _findings(report.findings),
        "gate": None if report.gate is None else asdict(report.gate),
        "speedup_p50": report.speedup,
        "int8_mac_fraction": report.calibration.int8_mac_fraction,
        "calibration": report.calibration.model_dump(mode="json"),
        "passed": verdict.passed,
        "verdict": list(verdict.sentences),
    }


def refusal_as_json(target: str, data: str, gate: GateReport, sentence: str) -> dict[str, Any]:
    """What is told where no recipe passed, so that no other split was measured on and no bundle written."""
    return {
        "format_version": FORMAT_VERSION,
        "target": target,
        "data": data,
        "gate": asdict(gate),
        "passed": False,
        "verdict": [sentence],
    }


def _findings(findings: Findings) -> dict[str, Any]:
    return asdict(findings) | {"engine": findings.engine.model_dump()}


def read_report(folder: Path) -> tuple[DropReport, Verdict, dict[str, Any]]:
    """Read the report of a bundle.

    Returns:
        The report, the verdict as it was given, and the JSON they come from.

    Raises:
        BundleError: there is none, or it is not what this version writes or wrote.
    """
    file = folder / REPORT
    if not file.is_file():
        raise BundleError(
            f"{folder} holds no {REPORT}; INT8 bundles have one: make one with 's2d-edge calibrate'"
        )
    try:
        payload = json.loads(file.read_text(encoding="utf-8"))
        version = payload.get("format_version", 1) if isinstance(payload, dict) else None
        if version not in _READABLE:
            raise BundleError(
                f"{file} has format_version {version!r}; this s2d-edge reads 1 to {FORMAT_VERSION}: "
                "calibrate again, or use the s2d-edge that wrote it"
            )
        report = _REPORT.validate_python(
            payload | {"evaluation_data": payload["data"], "evaluation_split": payload["split"]}
        )
        verdict = Verdict(passed=payload["passed"], sentences=tuple(payload["verdict"]))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{file}: field {field!r}: {first['msg']}; calibrate again") from None
    except KeyError as error:
        raise BundleError(f"{file}: field {error} is missing; calibrate again") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BundleError(f"{file} is not readable JSON ({error}); calibrate again") from None
    return report, verdict, payload


def save_clips(clips: ClipAnswers, labels: tuple[str, ...], path: Path) -> None:
    """Write every clip's label, answers and logits as CSV."""
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
