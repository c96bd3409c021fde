"""Showing the report that an INT8 bundle carries."""

from __future__ import annotations

import os
import sys
import webbrowser
from itertools import islice
from pathlib import Path

from rich.table import Table

from s2d_edge.calibrate.report.records import DropReport, Verdict
from s2d_edge.calibrate.report.render import (
    CHANGED_HEAD,
    LAYER_HEAD,
    as_table,
    changed_rows,
    gate_table,
    layer_rows,
    worst_class_sentence,
)
from s2d_edge.calibrate.report.report_file import HTML, report_of
from s2d_edge.calibrate.report.scope import not_measured
from s2d_edge.contracts.provenance import read_provenance, sentences
from s2d_edge.core.console import Console, write_json
from s2d_edge.core.errors import BundleError, S2DEdgeError
from s2d_edge.firmware_host.bundles import BundleName, find_precision

_LAYERS_SHOWN = 8


def show_report(given: BundleName | None, *, open_page: bool, json: str | None, console: Console) -> None:
    """Print a bundle's report, and open its page if ``open_page``.

    Args:
        given: an INT8 bundle; None takes the newest under ``bundles``.
        json: where its ``report.json`` goes, ``-`` for stdout.

    Raises:
        BundleError: no such bundle, it is altered, or it has no report, or no page to open.
        S2DEdgeError: there is no browser to open the page in.
    """
    bundle = find_precision(given, "int8", console)
    if bundle.manifest.precision != "int8":
        raise BundleError(
            f"{bundle.path} is FP32, and a report shows what INT8 costs; "
            f"make one with 's2d-edge calibrate {bundle.path}'"
        )
    report, verdict, payload = report_of(bundle)
    _show(report, verdict, console)
    made_from = read_provenance(bundle.path)
    for sentence in sentences(made_from):
        console.say(sentence)
    page = bundle.path / HTML
    if page.is_file():
        console.say(f"\nthe page with the plots: {page}")
    else:
        console.warn(
            f"{bundle.path} has no {HTML}: its report is of an earlier version; "
            "calibrate the FP32 bundle again for one"
        )
    if json is not None:
        write_json(json, payload | ({"made_from": made_from} if made_from else {}))
    if open_page:
        _open(page)


def _show(report: DropReport, verdict: Verdict, console: Console) -> None:
    console.show(as_table(report))
    for sentence in verdict.sentences:
        console.say(sentence)
    if report.gate is not None:
        console.show(gate_table(report.gate))
    if (found := report.details) is not None:
        console.say(worst_class_sentence(found))
        if found.most_changed:
            changed = Table(*CHANGED_HEAD, title="clips whose prediction changed most", title_justify="left")
            for row in changed_rows(found):
                changed.add_row(*row)
            console.show(changed)
        if found.sensitivity:
            title = f"the most costly of {len(found.sensitivity)} groups of layers, each alone in INT8"
            layers = Table(*LAYER_HEAD, title=title, title_justify="left")
            for row in islice(layer_rows(found), _LAYERS_SHOWN):
                layers.add_row(*row)
            console.show(layers)
    console.say("not measured:")
    for sentence in not_measured(report):
        console.say(f"- {sentence}")


def _open(page: Path) -> None:
    if not page.is_file():
        raise BundleError(f"there is no {page} to open; calibrate the FP32 bundle again for one")
    # Without a display Python would start a browser for terminals, and wait for it.
    headless = sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if headless or not webbrowser.open(page.resolve().as_uri()):
        raise S2DEdgeError(f"this machine has no browser to open; copy {page} to one that has")
