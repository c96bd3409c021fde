"""The accuracy-drop report as one HTML page that loads nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from s2d_edge.calibrate.report import figures
from s2d_edge.calibrate.report.details import ClipPredictions
from s2d_edge.calibrate.report.page_style import STYLE
from s2d_edge.calibrate.report.records import Details, DropReport, Verdict
from s2d_edge.calibrate.report.render import (
    CHANGED_HEAD,
    GATE_HEAD,
    LAYER_HEAD,
    accuracy_rows,
    changed_rows,
    cost_rows,
    gate_rows,
    gate_title,
    layer_rows,
    layers_sentence,
    method_sentences,
    recall_rows,
    tuning_sentences,
    worst_class_sentence,
)
from s2d_edge.calibrate.report.scope import not_measured

_DARK_FROM = 0.55  # share of a class above which a cell's number is white


def as_html(report: DropReport, verdict: Verdict, clips: ClipPredictions) -> str:
    """Render the report for customers: every plot with the table behind it; no script, no network."""
    found = report.details
    assert found is not None  # reports of version 1 are read, never rendered as a page
    sections = [
        _section("Accuracy", _table(("", "FP32", "INT8", "change"), accuracy_rows(report))),
        _section("Confusion", _confusions(report)),
        _section("Recall of each class", *_recalls(report, found)),
        _section("Agreement", *_agreement(report, found)),
        _section("Logits, FP32 against INT8", *_scatter(report, clips)),
        _section("Clips whose prediction changed most", *_changed(found)),
        _section("Layers", *_layers(found)),
        _section("Time and size", *_costs(report, found)),
        _section("Recipes tried", *_gate(report)),
        _section("What was not measured", _list(not_measured(report))),
        _section("How it was measured", _list(method_sentences(report))),
    ]
    name = escape(report.int8.bundle)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # A browser that opens the page may load nothing.
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">",
            '<link rel="icon" href="data:,">',
            f"<title>What INT8 costs: {name}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            _header(report, verdict),
            _key_figures(report, found),
            *sections,
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _header(report: DropReport, verdict: Verdict) -> str:
    first, *others = verdict.sentences
    facts = (
        ("target", report.target),
        ("data", f"{report.evaluation_data}/{report.evaluation_split}, {report.fp32.score['n']} clips"),
        ("measured with", report.int8.engine),
    )
    shown = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    kind = {True: "passed", False: "failed", None: "undecided"}[verdict.passed]
    return (
        "<header>"
        '<p class="kicker">S2D-Edge · INT8 report</p>'
        f"<h1>{escape(report.int8.bundle)}</h1>"
        f'<p class="verdict {kind}"><strong>{escape(first)}</strong> {escape(" ".join(others))}</p>'
        f"<dl>{shown}</dl>"
        "</header>"
    )


def _key_figures(report: DropReport, found: Details) -> str:
    drop, fp32, int8 = report.drop, report.fp32.score, report.int8.score
    low, high = drop.war_pp_ci95
    worst = found.worst_class
    cards = [
        ("WAR", f"{100 * int8['war']:.1f} %", f"FP32 {100 * fp32['war']:.1f} %"),
        ("WAR drop", f"{drop.war_pp + 0.0:+.2f} pp", f"95 % interval {low + 0.0:+.2f} … {high + 0.0:+.2f}"),
        ("UAR", f"{100 * int8['uar']:.1f} %", f"FP32 {100 * fp32['uar']:.1f} %"),
        ("Macro F1", f"{100 * int8['macro_f1']:.1f} %", f"FP32 {100 * fp32['macro_f1']:.1f} %"),
        (
            "Agreement",
            f"{100 * drop.agreement:.1f} %",
            f"right → wrong {drop.lost}, wrong → right {drop.won}",
        ),
        ("McNemar p", f"{drop.mcnemar_p:.2g}", "that both err equally often (exact)"),
        (
            "Worst class",
            worst.label if worst else "none",
            f"recall −{worst.drop_pp:.1f} pp" if worst else "no recall falls",
        ),
        ("Speed", f"{report.speedup:.2f} ×", f"{report.int8.latency_p50_ms:.1f} ms a {found.answer}, here"),
        (
            "Size",
            f"{report.int8.size_bytes / 1e6:.1f} MB",
            f"FP32 {report.fp32.size_bytes / 1e6:.1f} MB",
        ),
    ]
    shown = "".join(
        f'<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd><dd class="note">{escape(note)}</dd></div>'
        for name, value, note in cards
    )
    return f'<dl class="cards">{shown}</dl>'


def _confusions(report: DropReport) -> str:
    tables = []
    for side, name in ((report.fp32, "FP32"), (report.int8, "INT8")):
        labels = list(side.score["per_class"])
        head = "".join(f'<th scope="col"><span>{escape(label)}</span></th>' for label in labels)
        body = "".join(
            f'<tr><th scope="row">{escape(label)}</th>{"".join(map(_cell(row), row))}</tr>'
            for label, row in zip(labels, side.score["confusion"], strict=True)
        )
        tables.append(
            f'<table class="confusion"><caption>{name}: WAR {100 * side.score["war"]:.1f} %</caption>'
            f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
        )
    return (
        "<p>Rows are the true classes, columns the predicted ones; the larger its share of the true class, "
        f'the darker a cell.</p><div class="pair">{"".join(tables)}</div>'
    )


def _cell(row: Sequence[int]) -> Any:
    def cell(count: int) -> str:
        share = count / max(sum(row), 1)
        ink = " color:#fff;" if share > _DARK_FROM else ""
        quiet = "" if count else ' class="zero"'
        return f'<td{quiet} style="background:rgba(47,125,246,{share:.2f});{ink}">{count}</td>'

    return cell


def _recalls(report: DropReport, found: Details) -> Iterable[str]:
    yield f"<p>{escape(worst_class_sentence(found))}</p>"
    yield _figure(figures.recall_figure(report))
    yield _behind(_table(("class (clips)", "FP32", "INT8", "change"), recall_rows(report)))


def _agreement(report: DropReport, found: Details) -> Iterable[str]:
    drop, outcomes = report.drop, found.outcomes
    yield (
        f"<p>Both graphs predict the same label for {100 * drop.agreement:.2f} % of the clips. "
        f"{drop.lost} go from right to wrong and {drop.won} from wrong to right; if INT8 and FP32 erred "
        f"equally often, a split at least as uneven would have the probability {drop.mcnemar_p:.3g} "
        "(McNemar's test, exact).</p>"
    )
    yield _figure(figures.agreement_figure(report))
    rows = (
        ("both right", outcomes.both_right),
        ("only FP32 right", outcomes.only_fp32_right),
        ("only INT8 right", outcomes.only_int8_right),
        ("both wrong, same label", outcomes.both_wrong_alike),
        ("both wrong, different labels", outcomes.both_wrong_differently),
    )
    yield _behind(_table(("outcome", "clips"), ((name, str(count)) for name, count in rows)))


def _scatter(report: DropReport, clips: ClipPredictions) -> Iterable[str]:
    yield (
        "<p>One point for each class of each clip. The RMS difference of the logits is "
        f"{report.drop.rms_logit_diff:.3f}; no probability moves by more than "
        f"{report.drop.max_abs_probability_diff:.3f}. Every clip's "
        "logits stand in <code>report-clips.csv</code>.</p>"
    )
    yield _figure(figures.scatter_figure(clips))


def _changed(found: Details) -> Iterable[str]:
    if not found.most_changed:
        yield "<p>No clip's probabilities moved at all.</p>"
        return
    yield (
        "<p>By total variation: half the sum of the changes of the probabilities. In brackets the "
        "probability of the predicted label.</p>"
    )
    yield _table(CHANGED_HEAD, changed_rows(found), wide=True)


def _layers(found: Details) -> Iterable[str]:
    if not found.sensitivity:
        yield "<p>Not measured. <code>s2d-edge calibrate --sensitivity 4</code> does.</p>"
        return
    yield (
        f"<p>{escape(layers_sentence(found))} Errors add up roughly as squares, so the longest bars are "
        "nearly all that matters.</p>"
    )
    yield _figure(figures.sensitivity_figure(found.sensitivity))
    yield _behind(_table(LAYER_HEAD, layer_rows(found)))


def _costs(report: DropReport, found: Details) -> Iterable[str]:
    yield (
        f"<p>{found.timed_answers} predictions of each graph, of one {found.answer} each, in turn in the "
        f"same run, on {escape(found.engine.name)}, through {escape(report.int8.engine)}.</p>"
    )
    yield _figure(figures.cost_figure(report))
    yield _behind(_table(("", "FP32", "INT8", "change"), cost_rows(report)))


def _gate(report: DropReport) -> Iterable[str]:
    if report.gate is None:
        yield "<p>One, the target's own: any drop passes (<code>--max-drop inf</code>).</p>"
        return
    yield f"<p>{escape(gate_title(report.gate))}.</p>"
    yield _table(GATE_HEAD, gate_rows(report.gate), wide=True)
    for sentence in tuning_sentences(report.gate):
        yield f"<p>{escape(sentence)}</p>"


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _figure(svg: str) -> str:
    return f"<figure>{svg}</figure>"


def _behind(table: str) -> str:
    return f"<details><summary>The figures</summary>{table}</details>"


def _list(sentences: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, wide: bool = False) -> str:
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in others)}</tr>"
        for first, *others in rows
    )
    kind = ' class="wide"' if wide else ""
    return f"<table{kind}><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>"
