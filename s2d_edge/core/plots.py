"""Plots that more than one stage draws. Matplotlib is imported when one is drawn."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from s2d_edge.core.names import cut_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LONGEST_NAME = 24  # characters of a label beside an axis
# Told apart by people with any colour vision; more classes begin again (Okabe and Ito 2008).
_COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442", "#999999"]
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


def draw_reliability(upper: Axes, lower: Axes, bins: Sequence[Mapping[str, float]]) -> None:
    """Draw the accuracy of clips over their confidence, and below how many clips there are.

    Bars that end under the diagonal are surer than right; bars above it are less sure than right.

    Args:
        bins: fields of :class:`s2d_edge.core.reliability.Bin`.
    """
    left, width = [each["low"] for each in bins], [each["high"] - each["low"] for each in bins]
    accuracy = [each["accuracy"] for each in bins]
    upper.bar(left, accuracy, width, align="edge", color=_COLOURS[0], edgecolor="white", label="accuracy")
    upper.plot([0, 1], [0, 1], color="grey", linestyle="--", label="as sure as right")
    upper.plot(
        [each["confidence"] for each in bins], accuracy, "o", color=_COLOURS[1], label="mean confidence"
    )
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    upper.legend(loc="upper left")
    lower.bar(left, [each["clips"] for each in bins], width, align="edge", color=_COLOURS[-1])
    lower.set(xlabel="confidence: probability of the predicted label", ylabel="clips")


def draw_timeline(
    panel: Axes,
    windows_s: Sequence[tuple[float, float]],
    probabilities: Sequence[Sequence[float]],
    faceless: Sequence[bool],
    labels: Sequence[str],
) -> None:
    """Draw the probability of each class over time, stacked, in steps from window to window.

    Args:
        windows_s: (W, 2), begin and end of each window, seconds, ascending.
        probabilities: (W, K), of each window.
        faceless: True for windows without a face, which are drawn in grey.
        labels: class names in index order; long ones are cut.
    """
    colours = _COLOURS * (1 + len(labels) // len(_COLOURS))
    edges, rows = _steps(windows_s)
    stacked = [[0.0 if row is None else probabilities[row][k] for row in rows] for k in range(len(labels))]
    panel.stackplot(edges, stacked, labels=cut_apart(labels, LONGEST_NAME), colors=colours[: len(labels)])
    hidden = [row is not None and bool(faceless[row]) for row in rows]
    if any(hidden):
        panel.fill_between(
            edges, 0, 1, where=hidden, facecolor="lightgrey", edgecolor="grey", hatch="//", label="no face"
        )
    panel.set(xlim=(edges[0], max(edges[-1], edges[0] + 1e-3)), ylim=(0, 1), ylabel="probability")


def _steps(windows_s: Sequence[tuple[float, float]]) -> tuple[list[float], list[int | None]]:
    """Places on the time axis, and the window that each shows, None between windows that lie apart.

    Where windows overlap or follow closely, one ends and the next begins halfway between their middles.
    """
    edges: list[float] = []
    rows: list[int | None] = []
    begin_s = windows_s[0][0]
    for row, (begin, end) in enumerate(windows_s):
        following = windows_s[row + 1] if row + 1 < len(windows_s) else None
        apart = following is None or following[0] - end > (end - begin) / 2
        end_s = end if following is None or apart else (begin + end + sum(following)) / 4
        edges += [begin_s, end_s]
        rows += [row, row]
        begin_s = end_s
        if following is not None and apart:
            edges += [end, following[0]]
            rows += [None, None]
            begin_s = following[0]
    return edges, rows
