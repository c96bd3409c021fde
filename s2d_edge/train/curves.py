"""The learning curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s2d_edge.files import whole_file

CURVES = "learning-curve.png"


def draw_curves(history: Sequence[dict[str, Any]], folder: Path, *, title: str) -> None:
    """Write ``learning-curve.png``: losses on the left, validation WAR and UAR on the right, per epoch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    epochs = [record["epoch"] for record in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    loss, rate = figure.subplots(1, 2)
    for axes, names in ((loss, ("train_loss", "val_loss")), (rate, ("val_war", "val_uar"))):
        for name in names:
            axes.plot(epochs, [record[name] for record in history], marker=".", label=name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    rate.set_ylim(0, 1)
    figure.suptitle(title)
    with whole_file(folder / CURVES) as scratch:
        figure.savefig(scratch, dpi=110)
