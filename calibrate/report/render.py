"""The accuracy-drop report as Markdown, as tables for the terminal, and as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from rich.table import Column, Table

from s2d_edge.calibrate.report.records import Details, DropReport, Verdict
from s2d_edge.calibrate.report.scope import not_measured
from s2d_edge.calibrate.report.side import recall_drops
from s2d_edge.calibrate.search.gate import GateReport
from s2d_edge.core.names import cut_apart
from s2d_edge.core.plots import LONGEST_NAME, draw_confusion, plain_text

CHANGED_HEAD = ("clip", "true", "FP32", "INT8", "moved")
GATE_HEAD = (
    "step",
    "change",
    "WAR drop",
    "UAR drop",
    "agreement",
    "RMS logit diff",
    "INT8",
    "ms / FP32",
    "outcome",
)
LAYER_HEAD = ("group", "RMS logit diff", "share of INT8 MACs", "layers")
_LAYERS_SHOWN = 12  # the HTML page has all

_Row = tuple[str, str, str, str]


def as_table(report: DropReport) -> Table:
    """Render the report as a table for the terminal."""
    names = Column("", overflow="fold")  # whole, so that long labels stay apart
    title = f"INT8 on {report.evaluation_data}/{report.evaluation_split}"
    table = Table(names, "FP32", "INT8", "change", title=title)
    for section in (accuracy_rows(report), recall_rows(report), cost_rows(report)):
        for row in section:
            table.add_row(*row)
        table.add_section()
    return table


def as_markdown(report: DropReport, verdict: Verdict) -> str:
    """Render the report for people who open the bundle."""
    lines = [
        f"# What INT8 costs: {report.int8.bundle}",
        "",
        *verdict.sentences,
        "",
        *_rows_of_change("", accuracy_rows(report)),
        *_rows_of_change("recall", recall_rows(report)),
        *_rows_of_change("cost", cost_rows(report)),
        *_gate(report),
        *_findings(report),
        "## What was not measured",
        "",
        *(f"- {sentence}" for sentence in not_measured(report)),
        "",
        "## How it was measured",
        "",
        *(f"- {sentence}" for sentence in method_sentences(report)),
        "",
        "![confusion and recall](report.png)",
        "",
    ]
    return "\n".join(lines)


def method_sentences(report: DropReport) -> Iterator[str]:
    """Describe how the figures were measured."""
    calibration, found = report.calibration, report.details
    yield (
        f"{report.fp32.score['n']} clips of {report.evaluation_data}, split {report.evaluation_split}; "
        f"no face was found in {report.faces_missed} of {report.frames} frames; "
        f"{report.skipped} clips could not be read."
    )
    yield f"{report.fp32.engine}."
    yield f"{report.int8.engine}."
    yield (
        "Both predicted the same loaded clips in turn. Intervals of WAR and UAR are seeded bootstraps over "
        "clips within their classes, 95 %; those of the change are paired. Intervals of recalls are Wilson's."
    )
    if found is not None:
        yield (
            f"Times: {found.timed_answers} predictions of each graph, of one {found.answer} each, in turn, "
            f"on {found.engine.name}."
        )
    yield (
        f"Calibrated on {len(calibration.clips)} clips of {calibration.data}, split {calibration.split}, "
        f"seed {calibration.seed}; manifest.json lists them with their SHA-256."
    )
    recipe = ", ".join(f"{key} {value}" for key, value in calibration.recipe.items())
    yield f"Recipe for {report.target}: {recipe}."
    yield (f"{100 * calibration.int8_mac_fraction:.1f} % of the linear and convolution MACs are INT8.")


def gate_table(gate: GateReport) -> Table:
    """Render the recipes tried as a table for the terminal."""
    table = Table(*GATE_HEAD, title=gate_title(gate), title_justify="left")
    for row in gate_rows(gate):
        table.add_row(*row)
    return table


def gate_title(gate: GateReport) -> str:
    """Name the clips that decided."""
    where = gate.split if gate.carved_from is None else f"taken out of {gate.carved_from}"
    return (
        f"recipes tried on {gate.n} validation clips ({where}); one clip of the rarest class, "
        f"{gate.rarest_class}, is {gate.granularity_pp:.2f} pp of UAR"
    )


def gate_rows(gate: GateReport) -> Iterator[tuple[str, ...]]:
    """Yield gain and cost of each recipe, in turn; drops in percentage points."""
    for trial in gate.trials:
        drop = trial.drop
        figures = [""] * 6
        if drop is not None:
            assert trial.int8_mac_fraction is not None  # measured with it
            assert trial.times_fp32 is not None
            figures = [
                f"{drop.war_pp + 0.0:+.2f} pp",
                f"{drop.uar_pp + 0.0:+.2f} pp",
                f"{100 * drop.agreement:.1f} %",
                f"{drop.rms_logit_diff:.3f}",
                f"{100 * trial.int8_mac_fraction:.1f} %",
                f"{trial.times_fp32:.2f}",
            ]
        yield (trial.step, trial.change, *figures, trial.outcome)


def tuning_sentences(gate: GateReport) -> Iterator[str]:
    """Describe each fine-tuning; one training serves all recipes tried after it."""
    for tuning in dict.fromkeys(trial.tuning for trial in gate.trials if trial.tuning is not None):
        yield (
            f"Quantization-aware fine-tuning: {tuning.steps} steps at a learning rate of {tuning.lr:g} on "
            f"{tuning.clips} clips, in {tuning.seconds:.0f} s. The weights after step {tuning.kept_step} "
            f"were kept: with fake quantization, they lower the RMS difference of the logits from FP32's on "
            f"{tuning.held_out} held-out clips from {tuning.rms_before:.3f} to {tuning.rms_after:.3f}. All "
            "figures of the recipes are compared with the given FP32 bundle."
        )


def worst_class_sentence(found: Details) -> str:
    """Name the class whose recall falls most."""
    worst = found.worst_class
    if worst is None:
        return "No class has a lower recall in INT8 than in FP32."
    return (
        f"INT8 hurts {worst.label!r} most: its recall falls by {worst.drop_pp:.2f} pp "
        f"(of its {worst.support} clips {worst.lost} lost, {worst.won} won)."
    )


def changed_rows(found: Details) -> Iterator[tuple[str, ...]]:
    """Yield path, label, both predictions with their probability, and distance of the most changed clips."""
    for clip in found.most_changed:
        yield (
            clip.path,
            clip.label,
            f"{clip.fp32} ({max(clip.fp32_probabilities):.2f})",
            f"{clip.int8} ({max(clip.int8_probabilities):.2f})",
            f"{clip.distance:.3f}",
        )


def layer_rows(found: Details) -> Iterator[tuple[str, ...]]:
    """Yield name, RMS difference of the logits, share of the INT8 MACs and number of layers of each group."""
    total = sum(layer.macs for layer in found.sensitivity)
    for layer in found.sensitivity:
        share = f"{100 * layer.macs / total:.1f} %"
        yield (layer.name, f"{layer.rms_logit_diff:.4f}", share, str(len(layer.layers)))


def _gate(report: DropReport) -> Iterator[str]:
    if report.gate is not None:
        yield from ("## Recipes tried", "", f"{gate_title(report.gate)}.".capitalize(), "")
        yield from _markdown_rows(GATE_HEAD, gate_rows(report.gate))
        for sentence in tuning_sentences(report.gate):
            yield from (sentence, "")


def _findings(report: DropReport) -> Iterator[str]:
    found = report.details
    if found is None:
        return
    yield from (worst_class_sentence(found), "", "## Clips whose prediction changed most", "")
    yield from _markdown_rows(CHANGED_HEAD, changed_rows(found))
    if found.sensitivity:
        yield from ("## Cost of single layers", "", layers_sentence(found), "")
        yield from _markdown_rows(LAYER_HEAD, islice(layer_rows(found), _LAYERS_SHOWN))


def layers_sentence(found: Details) -> str:
    """Describe the figures of single layers."""
    clips = f"{found.sensitivity_clips} calibration clip{'s' if found.sensitivity_clips > 1 else ''}"
    fed = clips if found.answer == "clip" else f"steps of {clips} with the state that FP32 has there"
    return (
        "RMS difference of the logits from those of FP32 when one group of layers alone is as in the INT8 "
        "graph (weights, quantizers, corrected biases) and all others are as in the FP32 graph: over classes "
        f"and {fed}, on the CPU."
    )


@plain_text()
def save_plot(report: DropReport, path: Path) -> None:
    """Draw both confusion matrices, as shares of each true class, and the recalls side by side (PNG)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = list(report.fp32.score["per_class"])
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3)
    for panel, side, name in zip(panels, (report.fp32, report.int8), ("FP32", "INT8"), strict=False):
        draw_confusion(panel, side.score["confusion"], labels)
        panel.set_title(f"{name}: WAR {100 * side.score['war']:.1f} %")
    for side, name, offset in ((report.fp32, "FP32", -0.2), (report.int8, "INT8", 0.2)):
        recalls = [100 * (entry["recall"] or 0) for entry in side.score["per_class"].values()]
        panels[2].bar([k + offset for k in range(len(labels))], recalls, 0.4, label=name)
    panels[2].set_xticks(range(len(labels)), cut_apart(labels, LONGEST_NAME), rotation=45, ha="right")
    panels[2].set(title="recall, %", ylim=(0, 116), yticks=range(0, 101, 20))  # room for the legend
    panels[2].legend(loc="upper center", ncols=2, frameon=False)
    figure.savefig(path, dpi=110)


def accuracy_rows(report: DropReport) -> Iterator[_Row]:
    """Yield WAR, UAR, macro F1, agreement and RMS difference of the logits of both graphs."""
    drop = report.drop
    for key, name, change, interval in (
        ("war", "WAR", drop.war_pp, drop.war_pp_ci95),
        ("uar", "UAR", drop.uar_pp, drop.uar_pp_ci95),
    ):
        shown = f"{_gain(change)} pp ({_gain(interval[1])} … {_gain(interval[0])})"
        one, other = (
            _rate(side.score[key], side.score[f"{key}_ci95"]) for side in (report.fp32, report.int8)
        )
        yield (name, one, other, shown)
    f1 = [f"{100 * side.score['macro_f1']:.2f} %" for side in (report.fp32, report.int8)]
    yield ("macro F1", f1[0], f1[1], f"{_gain(drop.macro_f1_pp)} pp")
    yield from _probability_rows(report)
    yield ("agreement", "", "", f"{100 * drop.agreement:.2f} %")
    yield ("right → wrong, wrong → right", "", "", f"{drop.lost}, {drop.won}")
    yield ("RMS difference of the logits", "", "", f"{drop.rms_logit_diff:.3f}")


def _probability_rows(report: DropReport) -> Iterator[_Row]:
    """Yield the calibration error, and the distance from people's votes; older reports have neither."""
    one, other = report.fp32.score, report.int8.score
    if "ece" in one and "ece" in other:
        errors = [100 * each["ece"] for each in (one, other)]
        yield (
            "expected calibration error",
            f"{errors[0]:.2f} %",
            f"{errors[1]:.2f} %",
            f"{_gain(errors[0] - errors[1])} pp",
        )
    if "votes" in one and "votes" in other:
        for key, name in (
            ("cross_entropy_nats", "cross-entropy to the votes, nats"),
            ("jensen_shannon_bits", "Jensen-Shannon to the votes, bits"),
        ):
            fp32, int8 = one["votes"][key], other["votes"][key]
            yield (name, f"{fp32:.4f}", f"{int8:.4f}", f"{int8 - fp32:+.4f}")


def recall_rows(report: DropReport) -> Iterator[_Row]:
    """Yield the recall of each class that has clips."""
    for label, change in recall_drops(report.fp32, report.int8).items():
        if change is None:
            continue
        one, other = (side.score["per_class"][label] for side in (report.fp32, report.int8))
        yield (
            f"recall {label} ({one['support']})",
            f"{100 * one['recall']:.2f} %",
            f"{100 * other['recall']:.2f} %",
            f"{_gain(change)} pp",
        )


def cost_rows(report: DropReport) -> Iterator[_Row]:
    """Yield latency, size and share of INT8 MACs of both graphs."""
    fp32, int8 = report.fp32, report.int8
    yield (
        "latency p50",
        f"{fp32.latency_p50_ms:.1f} ms",
        f"{int8.latency_p50_ms:.1f} ms",
        f"{report.speedup:.2f}× as fast",
    )
    yield ("latency p95", f"{fp32.latency_p95_ms:.1f} ms", f"{int8.latency_p95_ms:.1f} ms", "")
    ratio = fp32.size_bytes / int8.size_bytes
    yield ("size", f"{fp32.size_bytes / 1e6:.1f} MB", f"{int8.size_bytes / 1e6:.1f} MB", f"1:{ratio:.2f}")
    yield ("MACs in INT8", "", f"{100 * report.calibration.int8_mac_fraction:.1f} %", "")


def _rate(value: float, interval: tuple[float, float]) -> str:
    return f"{100 * value:.2f} % ({100 * interval[0]:.2f} … {100 * interval[1]:.2f})"


def _gain(drop_pp: float) -> str:
    """Format a drop as a change: with the opposite sign, and never as -0.00."""
    return f"{0.0 - drop_pp:+.2f}"


def _rows_of_change(title: str, rows: Iterable[_Row]) -> list[str]:
    return _markdown_rows((title, "FP32", "INT8", "change"), rows)


def _markdown_rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [*(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines), ""]
