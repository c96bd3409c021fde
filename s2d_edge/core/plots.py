"""Plots that more than one stage draws. Matplotlib is imported when one is drawn."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from s2d_edge.core.names import cut_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LONGEST_NAME = 24  # characters of a label beside an axis
# Text is drawn as it is: a label may look like mathematics ("$x$"), or be broken as such.
PLAIN_TEXT: dict[Any, Any] = {"text.parse_math": False, "text.usetex": False}


@contextmanager
def plain_text() -> Iterator[None]:
    """While entered, Matplotlib draws text as it is, and is silent about letters that its font lacks."""
    from matplotlib import rc_context

    with rc_context(PLAIN_TEXT), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def draw_confusion(panel: Axes, counts: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
    """Draw a confusion matrix: each count on a shade that shows its share of the true class.

    Args:
        counts: (K, K), rows are the true classes, columns the predicted ones.
        labels: class names in index order; long ones are cut.
    """
    names = cut_apart(labels, LONGEST_NAME)
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            colour = "white" if shares[i][j] > 0.5 else "black"
            panel.text(j, i, str(count), ha="center", va="center", color=colour)
    panel.set_xticks(range(len(names)), names, rotation=45, ha="right")
    panel.set_yticks(range(len(names)), names)
    panel.set(xlabel="predicted", ylabel="true")
