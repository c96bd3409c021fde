"""The accuracy-drop report as JSON, as Markdown, on the terminal and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from calibrate.report import DropReport, Verdict
from s2d_edge.plots import draw_confusion

_Row = tuple[str, str, str, str]


def as_json(report: DropReport, verdict: Verdict) -> dict[str, Any]:
    """The report for machines: rates as fractions, drops in percentage points (``_pp``)."""
    return {
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
        "drop_recall_pp": _recall_drops(report),
        "speedup_p50": report.speedup,
        "int8_mac_fraction": report.calibration.int8_mac_fraction,
        "calibration": report.calibration.model_dump(mode="json"),
        "passed": verdict.passed,
        "verdict": list(verdict.sentences),
    }


def as_table(report: DropReport) -> Table:
    """The report for the terminal."""
    table = Table(
        "", "FP32", "INT8", "change", title=f"INT8 on {report.evaluation_data}/{report.evaluation_split}"
    )
    for section in (_accuracy_rows(report), _recall_rows(report), _cost_rows(report)):
        for row in section:
            table.add_row(*row)
        table.add_section()
    return table


def as_markdown(report: DropReport, verdict: Verdict) -> str:
    """The report for people who open the bundle."""
    calibration = report.calibration
    recipe = ", ".join(f"{key} {value}" for key, value in calibration.recipe.items())
    lines = [
        f"# What INT8 costs: {report.int8.bundle}",
        "",
        *verdict.sentences,
        "",
        *_markdown_rows("", (*_accuracy_rows(report),)),
        *_markdown_rows("recall", (*_recall_rows(report),)),
        *_markdown_rows("cost", (*_cost_rows(report),)),
        "## How it was measured",
        "",
        f"- {report.fp32.score['n']} clips of `{report.evaluation_data}`, split `{report.evaluation_split}`; "
        f"no face was found in {report.faces_missed} of {report.frames} frames; "
        f"{report.skipped} clips could not be read.",
        f"- FP32: `{report.fp32.bundle}` through {report.fp32.engine}.",
        f"- INT8: `{report.int8.bundle}` through {report.int8.engine}.",
        "- Both answered the same loaded clips in turn. Intervals are seeded bootstraps over clips within "
        "their classes, 95 %; those of the change are paired.",
        f"- Calibrated on {len(calibration.clips)} clips of `{calibration.data}`, split "
        f"`{calibration.split}`, seed {calibration.seed}; they and their SHA-256 stand in `manifest.json`.",
        f"- Recipe for {report.target}: {recipe}.",
        f"- {100 * calibration.int8_mac_fraction:.1f} % of the linear and convolution MACs are INT8.",
        "",
        "![confusion and recall](report.png)",
        "",
    ]
    return "\n".join(lines)


def save_plot(report: DropReport, path: Path) -> None:
    """Both confusion matrices, as shares of each true class, and the recalls side by side (PNG)."""
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
    panels[2].set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    panels[2].set(title="recall, %", ylim=(0, 116), yticks=range(0, 101, 20))  # room for the legend
    panels[2].legend(loc="upper center", ncols=2, frameon=False)
    figure.savefig(path, dpi=110)


def _accuracy_rows(report: DropReport) -> Iterator[_Row]:
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
    yield ("answered alike", "", "", f"{100 * drop.agreement:.2f} %")
    yield ("right → wrong, wrong → right", "", "", f"{drop.lost}, {drop.won}")
    yield ("logits apart (RMS)", "", "", f"{drop.rms_logit_diff:.3f}")


def _recall_rows(report: DropReport) -> Iterator[_Row]:
    for label, change in _recall_drops(report).items():
        if change is None:
            continue
        one, other = (side.score["per_class"][label] for side in (report.fp32, report.int8))
        yield (
            f"recall {label} ({one['support']})",
            f"{100 * one['recall']:.2f} %",
            f"{100 * other['recall']:.2f} %",
            f"{_gain(change)} pp",
        )


def _cost_rows(report: DropReport) -> Iterator[_Row]:
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


def _recall_drops(report: DropReport) -> dict[str, float | None]:
    """FP32 minus INT8 recall of each class, in percentage points; None without support."""
    one, other = report.fp32.score["per_class"], report.int8.score["per_class"]
    return {
        label: 100 * (one[label]["recall"] - other[label]["recall"]) if one[label]["support"] else None
        for label in one
    }


def _rate(value: float, interval: tuple[float, float]) -> str:
    return f"{100 * value:.2f} % ({100 * interval[0]:.2f} … {100 * interval[1]:.2f})"


def _gain(drop_pp: float) -> str:
    """A drop as the change people read: the sign turns, and nothing is +0.00."""
    return f"{0.0 - drop_pp:+.2f}"


def _markdown_rows(title: str, rows: tuple[_Row, ...]) -> list[str]:
    cells = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {title} | FP32 | INT8 | change |", "| --- | --- | --- | --- |", *cells, ""]
