"""Plots of the report as SVG inside a page: text stays text, and lines take the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from s2d_edge.calibrate.graphs.sensitivity import LayerSensitivity
from s2d_edge.calibrate.report.details import ClipPredictions
from s2d_edge.calibrate.report.records import DropReport
from s2d_edge.core.names import cut_apart
from s2d_edge.core.plots import LONGEST_NAME, PLAIN_TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FP32, INT8, CHANGED = "#8794a8", "#2f7df6", "#e8590c"  # readable on white and on black

# Placeholders, which nothing else is drawn in; the page's colours replace them.
_PAGE_COLOURS = {"#010203": "var(--ink)", "#010204": "var(--muted)", "#010205": "var(--line)"}
_INK, _MUTED, _LINE = _PAGE_COLOURS
_WIDTH = 7.2  # inches, 72 points each
_POINTS_DRAWN = 1500  # more become a picture
_LAYERS_SHOWN = 24
_STYLE: dict[Any, Any] = {
    **PLAIN_TEXT,
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _LINE,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
}


def recall_figure(report: DropReport) -> str:
    """Draw the recall of each class in FP32 and INT8, with 95 % intervals where the report has them."""
    sides = (report.fp32.score["per_class"], report.int8.score["per_class"])
    labels = [label for label, entry in sides[0].items() if entry["support"]]

    def draw(panel: Axes) -> None:
        places = np.arange(len(labels))
        for side, name, colour, offset in zip(
            sides, ("FP32", "INT8"), (FP32, INT8), (-0.19, 0.19), strict=True
        ):
            recalls = np.array([100 * side[label]["recall"] for label in labels])
            panel.barh(places + offset, recalls, 0.34, color=colour, label=name)
            for place, label, recall in zip(places, labels, recalls, strict=True):
                if interval := side[label].get("recall_ci95"):
                    ends = np.abs(100 * np.array(interval) - recall)[:, None]
                    panel.errorbar(
                        recall, place + offset, xerr=ends, color=_INK, elinewidth=0.9, capsize=2, capthick=0.9
                    )
        names = zip(cut_apart(labels, LONGEST_NAME), labels, strict=True)
        panel.set_yticks(places, [f"{name} ({sides[0][label]['support']})" for name, label in names])
        panel.invert_yaxis()
        panel.set(xlim=(0, 100), xlabel="recall, %; whiskers: 95 % interval of the class's clips")
        _grid(panel)
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)

    return _svg("Recall of each class, FP32 and INT8", 0.9 + 0.42 * len(labels), draw)


def agreement_figure(report: DropReport) -> str:
    """Draw the numbers of right, wrong and changed predictions as one bar."""
    assert report.details is not None
    outcomes = report.details.outcomes
    parts = (
        ("both right", outcomes.both_right, "#2f9e5b"),
        ("both wrong, same label", outcomes.both_wrong_alike, FP32),
        ("both wrong, different labels", outcomes.both_wrong_differently, "#b08a3c"),
        ("only INT8 right", outcomes.only_int8_right, INT8),
        ("only FP32 right", outcomes.only_fp32_right, CHANGED),
    )

    def draw(panel: Axes) -> None:
        start, total = 0, sum(count for _, count, _ in parts)
        for name, count, colour in parts:
            panel.barh(0, count, left=start, color=colour, label=f"{name}: {count}")
            start += count
        panel.set(xlim=(0, total), yticks=[], xlabel="clips")
        panel.spines["left"].set_visible(False)
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0)

    return _svg("Clips that both graphs, one of them or none predicted rightly", 1.5, draw)


def scatter_figure(clips: ClipPredictions) -> str:
    """Draw INT8's logits over those of FP32: one point a clip and class."""
    changed = clips.fp32.predicted != clips.int8.predicted
    low = float(min(clips.fp32.logits.min(), clips.int8.logits.min()))
    high = float(max(clips.fp32.logits.max(), clips.int8.logits.max()))

    def draw(panel: Axes) -> None:
        panel.plot([low, high], [low, high], color=_MUTED, linewidth=0.8, zorder=0)
        for chosen, colour, name, size in (
            (~changed, INT8, "same prediction", 6),
            (changed, CHANGED, "prediction changed", 14),
        ):
            before, after = clips.fp32.logits[chosen].ravel(), clips.int8.logits[chosen].ravel()
            panel.scatter(
                before,
                after,
                s=size,
                c=colour,
                alpha=0.55 if colour == INT8 else 1.0,
                linewidths=0,
                label=f"{name}: {int(chosen.sum())} clips",
                rasterized=len(before) > _POINTS_DRAWN,
            )
        panel.set(xlabel="FP32 logit", ylabel="INT8 logit", aspect="equal")
        panel.tick_params(axis="y", labelcolor=_MUTED)
        _grid(panel, "both")
        panel.legend(loc="upper left")

    return _svg("Logits of INT8 over logits of FP32", 5.4, draw, width=5.4)


def sensitivity_figure(layers: Sequence[LayerSensitivity]) -> str:
    """Draw the cost of each group of layers alone, the most costly on top."""
    shown = layers[:_LAYERS_SHOWN]

    def draw(panel: Axes) -> None:
        places = np.arange(len(shown))
        panel.barh(places, [layer.rms_logit_diff for layer in shown], 0.7, color=INT8)
        panel.set_yticks(places, [layer.name for layer in shown])
        panel.margins(y=0.01)
        panel.invert_yaxis()
        panel.set(xlabel="RMS difference of the logits with this group alone in INT8")
        _grid(panel)

    return _svg("Cost of each group of layers alone", 0.8 + 0.2 * len(shown), draw)


def cost_figure(report: DropReport) -> str:
    """Draw latency and size of both graphs."""
    sides = (report.fp32, report.int8)

    def draw(times: Axes, sizes: Axes) -> None:
        for axes, values, unit, title in (
            (times, [side.latency_p50_ms for side in sides], "ms", "median time of a prediction"),
            (sizes, [side.size_bytes / 1e6 for side in sides], "MB", "graph and weights"),
        ):
            axes.bar(["FP32", "INT8"], values, 0.6, color=[FP32, INT8])
            for place, value in enumerate(values):
                axes.text(place, value, f"{value:.1f} {unit}", ha="center", va="bottom")
            axes.set_title(title, fontsize=9)
            axes.set(yticks=[], ylim=(0, 1.15 * max(values)))
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="x", labelcolor=_INK, length=0)

    return _svg("Median time of a prediction, and size, of FP32 and INT8", 2.4, draw, panels=2)


def _grid(panel: Any, axis: str = "x") -> None:
    panel.grid(axis=axis, linewidth=0.6)
    panel.set_axisbelow(True)


def _svg(
    title: str, height: float, draw: Callable[..., None], *, width: float = _WIDTH, panels: int = 1
) -> str:
    """Draw on new axes, side by side, and return the figure as an element of a page."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # The salt keeps the ids of two figures apart, and equal from run to run.
    with rc_context(_STYLE | {"svg.hashsalt": title}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(*figure.subplots(1, panels, squeeze=False)[0])
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, dpi=200, metadata={"Date": None})
    text = out.getvalue()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for drawn, colour in _PAGE_COLOURS.items():
        text = text.replace(drawn, colour)
    # Without a size it fills its column, up to the width at which all figures have letters of one size.
    start, rest = text.split(">", 1)
    start = re.sub(r'\s(?:width|height)="[^"]*"', "", start)
    widest = f"max-width:{46 * width / _WIDTH:.1f}rem"
    return f'{start} role="img" aria-label="{escape(title, quote=True)}" style="{widest}">{rest}'.strip()
