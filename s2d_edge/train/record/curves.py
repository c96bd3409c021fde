"""Pictures of a training: learning curves and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s2d_edge.core.files import whole_file
from s2d_edge.core.plots import draw_confusion, plain_text

CURVES = "learning-curve.png"
CONFUSION = "confusion.png"
_DPI = 110


@plain_text()
def draw_curves(history: Sequence[dict[str, Any]], folder: Path, *, title: str) -> None:
    """Write ``learning-curve.png``: losses on the left, validation WAR and UAR on the right, per epoch.

    What has no labels has no such rates, and is drawn without them.
    Epoch 0, where there is one, is the validation before the first step; it has no training loss.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    rated = any("val_war" in record for record in history)
    panels = [("train_loss", "val_loss"), *([("val_war", "val_uar")] if rated else [])]
    figure = Figure(figsize=(4.5 * len(panels), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, names in zip(drawn, panels, strict=True):
        for name in names:
            known = [(record["epoch"], record[name]) for record in history if name in record]
            axes.plot(*zip(*known, strict=True), marker=".", label=name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    if rated:
        drawn[1].set_ylim(0, 1)
    figure.suptitle(title)
    with whole_file(folder / CURVES) as scratch:
        figure.savefig(scratch, dpi=_DPI)


@plain_text()
def draw_best(counts: Sequence[Sequence[int]], labels: Sequence[str], folder: Path, *, title: str) -> None:
    """Write ``confusion.png``: the confusion matrix of the validation clips at the best epoch.

    Args:
        counts: (K, K), rows are the true classes, columns the predicted ones.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    side = 2.6 + 0.45 * len(labels)
    figure = Figure(figsize=(side, side), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    draw_confusion(panel, counts, labels)
    panel.set_title(title, fontsize="medium")
    with whole_file(folder / CONFUSION) as scratch:
        figure.savefig(scratch, dpi=_DPI)
