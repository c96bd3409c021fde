"""``evaluate``'s scores of probabilities: as a table, and as a reliability diagram."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2d_edge.core.files import whole_file
from s2d_edge.core.plots import draw_reliability, plain_text

if TYPE_CHECKING:
    from rich.table import Table


def probability_table(result: dict[str, Any]) -> Table:
    """Return how sure the probabilities are against how right, and how near to people's votes."""
    from rich.table import Table

    table = Table("probabilities", "", "clips", title=f"{result['data']}/{result['split']}")
    table.add_row("expected calibration error", f"{100 * result['ece']:.2f} %", str(result["n"]))
    if votes := result.get("votes"):
        clips = str(votes["clips"])
        nats, least = votes["cross_entropy_nats"], votes["entropy_nats"]
        table.add_row("cross-entropy to the votes", f"{nats:.4f} nats (at least {least:.4f})", clips)
        table.add_row("Jensen-Shannon to the votes", f"{votes['jensen_shannon_bits']:.4f} bits", clips)
    return table


def save_reliability(path: Path, result: dict[str, Any]) -> None:
    """Draw accuracy over confidence, whole or not at all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with plain_text():
        figure = Figure(figsize=(5.0, 6.2), layout="constrained")
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        draw_reliability(upper, lower, result["reliability"])
        upper.set_title(
            f"{result['model']['name']} on {result['data']}/{result['split']}: "
            f"ECE {100 * result['ece']:.1f} %, {result['n']} clips",
            loc="left",
            fontsize="medium",
        )
        with whole_file(path) as scratch:
            figure.savefig(scratch, dpi=110)
