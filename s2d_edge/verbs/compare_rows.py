"""One line of the table of bundles: what a bundle is, and what its report says of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from s2d_edge.calibrate.report.records import DropReport
from s2d_edge.calibrate.report.report_file import REPORT, report_of
from s2d_edge.calibrate.report.side import Side
from s2d_edge.contracts.bundle import Bundle, Manifest, find_bundles
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError
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


Reports = Mapping[Path, tuple[Manifest, DropReport]]


def reports_near(paths: Iterable[Path], console: Console) -> Reports:
    """Read the reports of the INT8 bundles in the same folders as these.

    Args:
        console: names every report that cannot be read, or holds another graph's figures; it is skipped.

    Returns:
        By the bundle's folder, links followed, the manifest and the report; the newest of a folder first.
    """
    found: dict[Path, tuple[Manifest, DropReport]] = {}
    folders = dict.fromkeys(folder for path in paths for folder in (path.parent, path.resolve().parent))
    for folder in folders:
        for path, manifest in find_bundles(folder):
            key = path.resolve()
            if manifest.precision != "int8" or key in found or REPORT not in manifest.files:
                continue
            try:
                found[key] = manifest, report_of(Bundle(path, manifest))[0]
            except BundleError as error:
                console.warn(f"skipped a report: {error}")
    return found


def row_of(bundle: Bundle, reports: Reports) -> Row:
    """Return the line of a bundle; an FP32 bundle's figures are those that a report measured on its graph."""
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
        if (own := reports.get(bundle.path.resolve())) is None:
            return row
        drop = own[1].drop
        row = replace(row, drop_war_pp=drop.war_pp, drop_war_pp_ci95=drop.war_pp_ci95)
        return _measured(row, own[1], own[1].int8, manifest.name)
    for other, report in reports.values():  # an FP32 bundle was measured when it was quantized
        if report.fp32.graph_sha256 == bundle.graph_sha256:  # a name may have another model now
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
