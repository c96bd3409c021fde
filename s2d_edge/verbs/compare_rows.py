"""One line of the table of bundles: what a bundle is, and what its report says of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from s2d_edge.calibrate.report.records import DropReport
from s2d_edge.calibrate.report.report_file import REPORT, read_report
from s2d_edge.calibrate.report.side import Side
from s2d_edge.contracts.bundle import Bundle, Manifest, find_bundles
from s2d_edge.firmware_host.bundles import display_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One bundle. Figures that were not measured are None.

    Attributes:
        war, uar: fractions.
        drop_war_pp, drop_war_pp_ci95: of an INT8 bundle, percentage points.
        p50_ms: of one inference.
        timed_on: device and runtime; for times taken now, the processor of this machine.
        data, clips, clips_sha256: the clips on which accuracy was measured.
        report: name of the bundle whose report holds the figures.
    """

    bundle: str
    target: str
    precision: str
    mode: str
    source_run: str
    size_bytes: int
    war: float | None = None
    uar: float | None = None
    drop_war_pp: float | None = None
    drop_war_pp_ci95: tuple[float, float] | None = None
    p50_ms: float | None = None
    timed_on: str | None = None
    data: str | None = None
    clips: int | None = None
    clips_sha256: str | None = None
    report: str | None = None

    @property
    def measured_on(self) -> Hashable:
        """Equal for bundles whose accuracies may be compared; None where nothing was measured."""
        return None if self.data is None else (self.data, self.clips, self.clips_sha256)


def reports_near(paths: Iterable[Path]) -> list[tuple[Manifest, DropReport]]:
    """Return the reports of the INT8 bundles in the same folders as these, newest first."""
    found = []
    for folder in dict.fromkeys(path.resolve().parent for path in paths):
        for path, manifest in find_bundles(folder):
            if manifest.precision == "int8" and (path / REPORT).is_file():
                found.append((manifest, read_report(path)[0]))
    return found


def row_of(bundle: Bundle, near: Sequence[tuple[Manifest, DropReport]]) -> Row:
    """Return the line of a bundle; an FP32 bundle has its figures from a report among ``near``."""
    manifest = bundle.manifest
    row = Row(
        bundle=display_name(bundle.path),
        target=manifest.target,
        precision=manifest.precision,
        mode=manifest.mode,
        source_run=manifest.source_run,
        size_bytes=bundle.size_bytes,
    )
    if manifest.precision == "int8":
        if not (bundle.path / REPORT).is_file():
            return row
        report = read_report(bundle.path)[0]
        drop = report.drop
        row = replace(row, drop_war_pp=drop.war_pp, drop_war_pp_ci95=drop.war_pp_ci95)
        return _measured(row, report, report.int8, manifest.name)
    for other, report in near:  # an FP32 bundle was measured when it was quantized
        same = (other.source_run, other.target, other.mode) == (
            manifest.source_run,
            manifest.target,
            manifest.mode,
        )
        if same and (report.fp32.bundle, report.fp32.size_bytes) == (manifest.name, bundle.size_bytes):
            return _measured(row, report, report.fp32, other.name)
    return row


def _measured(row: Row, report: DropReport, side: Side, source: str) -> Row:
    found = report.details
    return replace(
        row,
        war=side.score["war"],
        uar=side.score["uar"],
        p50_ms=side.latency_p50_ms,
        timed_on=str(found.engine) if found else f"an unknown machine ({report.int8.engine})",
        data=f"{report.evaluation_data}/{report.evaluation_split}",
        clips=side.score["n"],
        clips_sha256=found.clips_sha256 if found else None,
        report=source,
    )
