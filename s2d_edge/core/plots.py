"""Plots that more than one stage draws. The caller imports matplotlib; this module does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_confusion(panel: Axes, counts: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
    """Draw a confusion matrix: each count on a shade that shows its share of the true class.

    Args:
        counts: (K, K), rows are the true classes, columns the predicted ones.
        labels: class names in index order.
    """
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            colour = "white" if shares[i][j] > 0.5 else "black"
            panel.text(j, i, str(count), ha="center", va="center", color=colour)
    panel.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    panel.set_yticks(range(len(labels)), labels)
    panel.set(xlabel="predicted", ylabel="true")
