"""Show a check's report in the terminal, as JSON, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from s2d_edge.core.files import whole_file
from s2d_edge.core.names import cut_apart
from s2d_edge.core.plots import LONGEST_NAME, plain_text
from s2d_edge.data.check.report import CheckReport, Finding

_NAMED = 5  # findings of a kind that are printed; the JSON has them all


def as_json(report: CheckReport) -> dict[str, Any]:
    """The report as plain values for JSON."""
    return {
        "name": report.name,
        "n": report.clips,
        "labels": list(report.labels),
        "counts": {split: _row(report, split) for split in report.counts},
        "notes": list(report.notes),
        "findings": [asdict(finding) | {"trouble": finding.trouble} for finding in report.findings],
        "kinds": report.kinds,
        "passed": report.passed,
    }


def sets_as_json(reports: Sequence[CheckReport], shared: Sequence[Finding]) -> dict[str, Any]:
    """The reports of several sets as plain values for JSON, and what was found between them."""
    findings = [asdict(finding) | {"trouble": finding.trouble} for finding in shared]
    passed = all(report.passed for report in reports) and not any(finding.trouble for finding in shared)
    return {"sets": [as_json(report) for report in reports], "findings": findings, "passed": passed}


def as_table(report: CheckReport) -> Table:
    """A table of the clips per class and split."""
    splits = list(report.counts)
    table = Table(Column("class", overflow="fold"), *splits, "all", title=report.name)
    rows = {label: [_row(report, split)[label] for split in splits] for label in report.labels}
    for label, row in rows.items():
        table.add_row(label, *map(str, row), str(sum(row)), end_section=label == report.labels[-1])
    totals = [sum(report.counts[split].values()) for split in splits]
    table.add_row("all", *map(str, totals), str(sum(totals)))
    return table


def sentences(found: Sequence[Finding]) -> Iterator[tuple[bool, str]]:
    """Yield the first findings of each kind as sentences, each with True for a fault, False for a warning."""
    for kind, same in groupby(found, key=lambda finding: finding.kind):
        findings = list(same)
        for finding in findings[:_NAMED]:
            yield finding.trouble, finding.sentence
        if len(findings) > _NAMED:
            yield findings[0].trouble, f"{kind}: and {len(findings) - _NAMED} more"


@plain_text()
def save_balance(report: CheckReport, path: Path) -> None:
    """Draw the number of clips of each class in each split, as bars side by side (PNG)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    splits, labels = list(report.counts), report.labels
    figure = Figure(figsize=(max(6.0, 1.5 + 0.35 * len(labels) * (1 + len(splits))), 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    width = 0.8 / len(splits)
    for k, split in enumerate(splits):
        counts = list(_row(report, split).values())
        places = [place + (k - (len(splits) - 1) / 2) * width for place in range(len(labels))]
        bars = axes.bar(places, counts, width, label=f"{split} ({sum(counts)})")
        axes.bar_label(bars, fontsize="x-small", padding=1)
    names = cut_apart(labels, LONGEST_NAME)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.margins(y=0.1)
    axes.set(title=f"{report.name}: clips of each class", ylabel="clips")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=len(splits), frameon=False)
    with whole_file(path) as scratch:
        figure.savefig(scratch, dpi=110)


def _row(report: CheckReport, split: str) -> dict[str, int]:
    """Number of clips of each label in a split."""
    return {label: report.counts[split].get(label, 0) for label in report.labels}
