"""Write the report into a bundle in every form, and show it on the terminal."""

from __future__ import annotations

from pathlib import Path

from s2d_edge.calibrate.report.details import ClipPredictions
from s2d_edge.calibrate.report.page import as_html
from s2d_edge.calibrate.report.records import DropReport, Verdict
from s2d_edge.calibrate.report.render import as_markdown, as_table, gate_table, save_plot, tuning_sentences
from s2d_edge.calibrate.report.report_file import CLIPS, HTML, REPORT, as_json, save_clips
from s2d_edge.calibrate.search.gate import GateReport
from s2d_edge.core.console import Console, write_json
from s2d_edge.core.files import write_text


def show_gate(gate: GateReport, console: Console) -> None:
    """Show the recipes that were tried, where there were several or none passed."""
    if len(gate.trials) > 1 or not gate.passed:
        console.show(gate_table(gate))
    for sentence in tuning_sentences(gate):
        console.say(sentence)


def show_drop(report: DropReport, verdict: Verdict, console: Console) -> None:
    """Show the report's table and its verdict."""
    console.show(as_table(report))
    for sentence in verdict.sentences:
        console.say(sentence)


def write_reports(folder: Path, report: DropReport, verdict: Verdict, predictions: ClipPredictions) -> None:
    """Write the report as JSON, Markdown and HTML, every clip's logits as CSV, and a plot."""
    labels = tuple(report.fp32.score["per_class"])
    write_json(str(folder / REPORT), as_json(report, verdict))
    save_clips(predictions, labels, folder / CLIPS)
    write_text(folder / "report.md", as_markdown(report, verdict))
    write_text(folder / HTML, as_html(report, verdict, predictions))
    save_plot(report, folder / "report.png")
