"""Comparing bundles in one table, from their reports; accuracies of different clips are marked."""

from __future__ import annotations

import csv
import io
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from s2d_edge.contracts.bundle import BUNDLES, find_bundles, open_bundle
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError
from s2d_edge.core.files import write_text
from s2d_edge.core.processor import processor
from s2d_edge.firmware_host.bench.benchmark import BenchmarkOptions
from s2d_edge.firmware_host.bundles import BundleName, all_sound, resolve
from s2d_edge.verbs.benchmark_models import benchmark_models
from s2d_edge.verbs.compare_rows import Row, reports_near, row_of

_HEAD = ("bundle", "target", "precision", "mode", "WAR %", "UAR %", "drop of WAR, pp", "p50 ms", "MB", "on")
_UNKNOWN = "–"


def compare_bundles(
    given: Sequence[BundleName],
    *,
    measure_rounds: int | None,
    device: str,
    out: Path | None,
    console: Console,
) -> dict[str, Any]:
    """Print one table of bundles, and return it for JSON.

    Args:
        given: bundles; none given takes every bundle under ``bundles``; damaged ones are skipped and named.
        measure_rounds: time them now, in turn, with so many inferences each; None quotes their reports.
        device: to time them on.
        out: the table is also written to this file, as ``.md`` or ``.csv``.
        console: shows the table and notes.

    Raises:
        BundleError: there is none, or one is incomplete.
        S2DEdgeError: what timing raises.
    """
    chosen = list(dict.fromkeys(resolve(each, device, console) for each in given))
    if not given:
        chosen = all_sound((path for path, _ in find_bundles(BUNDLES, console)), console)
    if not chosen:
        raise BundleError(f"there is no bundle under {BUNDLES}/ to compare; make one with 's2d-edge export'")
    bundles = [open_bundle(path) for path in chosen]
    reports = reports_near(chosen, console)
    rows = [row_of(bundle, reports) for bundle in bundles]
    if measure_rounds is not None:
        options = BenchmarkOptions(rounds=measure_rounds)
        timings = benchmark_models(chosen, None, options, device=device, threads=None, console=console)
        rows = [
            replace(row, p50_ms=timing["p50_ms"], timed_on=processor())
            for row, timing in zip(rows, timings["models"], strict=True)
        ]
    rows.sort(key=lambda row: (row.source_run, row.target, row.mode, row.precision, row.bundle))
    marks = _marks(row.measured_on for row in rows)
    notes = [*_data_notes(rows, marks), *_time_notes(rows, measured_now=measure_rounds is not None)]
    cells = [_cells(row, marks) for row in rows]
    console.show(_as_table(cells))
    for note in notes:
        console.say(note)
    if len(marks) > 1:
        console.warn(
            "not all bundles were measured on the same clips: compare accuracies of the same mark only"
        )
    if out is not None:
        write_text(out, _as_csv(cells) if out.suffix == ".csv" else _as_markdown(cells, notes))
    return {"measured_now": measure_rounds is not None, "bundles": [asdict(row) for row in rows]}


def _marks(keys: Iterable[Hashable]) -> dict[Hashable, str]:
    """Return a letter for each set of clips, in order."""
    kinds = dict.fromkeys(key for key in keys if key is not None)
    return {kind: chr(ord("a") + number) if number < 26 else str(number) for number, kind in enumerate(kinds)}


def _cells(row: Row, marks: dict[Hashable, str]) -> tuple[str, ...]:
    drop = _UNKNOWN if row.precision == "int8" else ""
    if row.drop_war_pp is not None and row.drop_war_pp_ci95 is not None:
        low, high = row.drop_war_pp_ci95
        drop = f"{row.drop_war_pp + 0.0:+.2f} ({low + 0.0:+.2f} … {high + 0.0:+.2f})"
    return (
        row.bundle,
        row.target,
        row.precision,
        row.mode,
        _UNKNOWN if row.war is None else f"{100 * row.war:.2f}",
        _UNKNOWN if row.uar is None else f"{100 * row.uar:.2f}",
        drop,
        _UNKNOWN if row.p50_ms is None else f"{row.p50_ms:.1f}",
        f"{row.size_bytes / 1e6:.1f}",
        marks.get(row.measured_on, _UNKNOWN),
    )


def _as_table(cells: Sequence[Sequence[str]]) -> Table:
    """Return a table for terminals, of which many are 80 characters wide."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("bundle", overflow="fold", min_width=10)
    table.add_column("target", no_wrap=True)
    table.add_column("graph", no_wrap=True)
    for name in ("WAR %", "UAR %"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("drop of WAR, pp\n(95 % interval)", justify="right", no_wrap=True)
    for name in ("p50 ms", "MB", "on"):
        table.add_column(name, justify="right", no_wrap=True)
    for bundle, target, precision, mode, war, uar, drop, *others in cells:
        table.add_row(bundle, target, f"{precision}\n{mode}", war, uar, drop.replace(" (", "\n("), *others)
    return table


def _data_notes(rows: Sequence[Row], marks: dict[Hashable, str]) -> Iterable[str]:
    for kind, mark in marks.items():
        row = next(row for row in rows if row.measured_on == kind)
        unsure = "" if row.clips_sha256 else " (an earlier report, which does not name its clips)"
        yield f"{mark}: {row.clips} clips of {row.data}{unsure}"
    if any(row.measured_on is None for row in rows):
        yield (
            f"{_UNKNOWN}: not measured, or no report here names this graph by its hash; "
            "'s2d-edge calibrate' measures FP32 and INT8 together"
        )


def _time_notes(rows: Sequence[Row], *, measured_now: bool) -> Iterable[str]:
    timed: dict[str, list[str]] = {}
    for row in rows:
        if row.timed_on is not None:
            timed.setdefault(row.timed_on, []).append(row.bundle)
    if not timed:
        return
    yield (
        "times: in turn, just now"
        if measured_now
        else "times: from each bundle's calibration, not side by side; --measure times them now, in turn"
    )
    for place, names in timed.items():
        yield f"  on {place}" + (f": {', '.join(names)}" if len(timed) > 1 else "")
    if {row.mode for row in rows} == {"stream", "window"}:
        yield "  an inference of a window takes a clip, one of a stream a frame"


def _as_markdown(cells: Sequence[Sequence[str]], notes: Iterable[str]) -> str:
    lines = [_HEAD, ["---"] * len(_HEAD), *cells]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return table + "\n\n" + "\n".join(f"- {note.strip()}" for note in notes) + "\n"


def _as_csv(cells: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_HEAD)
    table.writerows(cells)
    return text.getvalue()
