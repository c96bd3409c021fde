"""``predict --every``: a prediction for every part of a video, as JSON lines and as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import s2d_edge
from s2d_edge.core.console import json_lines
from s2d_edge.core.errors import ConfigError, MediaError
from s2d_edge.core.files import whole_file
from s2d_edge.core.plots import draw_timeline, plain_text
from s2d_edge.media.sampling import SLOW_PACE
from s2d_edge.verbs.plot_file import check_plot_file
from s2d_edge.verbs.predict_clips import as_json

_PANEL_INCHES = (10.0, 2.6)
# Pictures above some ten thousand pixels high are no longer opened everywhere.
_MOST_PANELS = 40


def check_plot(plot: Path | None, every: float | None, inputs: Sequence[Path]) -> None:
    """See that a picture can be drawn, and over none of the inputs.

    Raises:
        ConfigError: without ``--every``, or what :func:`check_plot_file` raises.
        MissingExtraError: Matplotlib is not installed.
    """
    if plot is None:
        return
    if every is None:
        raise ConfigError("--plot draws expressions over time; give --every SECONDS too")
    check_plot_file(plot, inputs)


def predict_windows(
    model: s2d_edge.Model,
    paths: Sequence[Path],
    console: s2d_edge.Console,
    every_s: float,
    *,
    crop: bool,
    json: str | None,
    plot: Path | None,
    skip: Callable[[Path, MediaError], None],
) -> None:
    """Predict the windows of every video that can be read, write them as they come, and draw them.

    Args:
        skip: called with each path that cannot be read; its windows before the fault are kept.
    """
    from rich.table import Column, Table

    table = Table(Column("path", overflow="fold"), "windows", "seconds", "faces", "most frequent")
    shown: list[tuple[Path, list[s2d_edge.Prediction]]] = []
    with ExitStack() as stack:
        write = stack.enter_context(json_lines(json)) if json is not None else None
        for path in paths:
            predictions: list[s2d_edge.Prediction] = []
            try:
                with console.progress(f"predicting {path.name}", None) as advance:
                    for prediction in model.predict_every(path, every_s, crop=crop):
                        predictions.append(prediction)
                        if write is not None:
                            begin_s, end_s = prediction.windows_s[0]
                            line = {"path": str(path), "begin_s": round(begin_s, 4), "end_s": round(end_s, 4)}
                            write(line | as_json(prediction))
                        advance(1)
            except MediaError as error:
                skip(path, error)
            _warn(console, path, predictions, crop)
            if predictions:
                shown.append((path, predictions))
                table.add_row(str(path), *_summary(predictions, crop))
    if table.row_count:
        console.show(table)
    if plot is not None and shown:
        _save(plot, shown[:_MOST_PANELS], model.labels)
        console.say(f"expressions over time: {plot}")
        if len(shown) > _MOST_PANELS:
            console.warn(f"{plot} shows the first {_MOST_PANELS} of {len(shown)} videos; draw fewer at once")


def _warn(
    console: s2d_edge.Console, path: Path, predictions: Sequence[s2d_edge.Prediction], crop: bool
) -> None:
    """Warn of windows that are slower than the model learned, that repeat frames, or that show no face."""
    slow = [prediction.pace for prediction in predictions if prediction.pace > SLOW_PACE]
    if slow:
        console.warn(
            f"{path}: {len(slow)} of {len(predictions)} windows came slower than the model's rate, up to "
            f"{max(slow):.1f} times, so motion looks quicker to it than it is"
        )
    if any(prediction.repeated for prediction in predictions):
        console.warn(f"{path} is shorter than one window; its frames were repeated")
    faceless = sum(prediction.faces_found == 0 for prediction in predictions) if crop else 0
    if faceless:
        console.warn(
            f"{path}: no face in {faceless} of {len(predictions)} windows, which were predicted from whole "
            "pictures or from where the face was before"
        )


def _summary(predictions: Sequence[s2d_edge.Prediction], crop: bool) -> tuple[str, str, str, str]:
    """Windows, seconds, faces and the most frequent label, for the table."""
    most, times = Counter(prediction.label for prediction in predictions).most_common(1)[0]
    found = sum(prediction.faces_found > 0 for prediction in predictions)
    return (
        str(len(predictions)),
        f"{predictions[0].windows_s[0][0]:.1f}–{predictions[-1].windows_s[0][1]:.1f}",
        f"in {found} of {len(predictions)}" if crop else "–",
        f"{most} ({times})",
    )


def _save(
    path: Path, shown: Sequence[tuple[Path, Sequence[s2d_edge.Prediction]]], labels: Sequence[str]
) -> None:
    """Draw the probabilities of each video over time, one panel below the other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = _PANEL_INCHES
    with plain_text():
        figure = Figure(figsize=(width, 0.8 + height * len(shown)), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
        for panel, (video, predictions) in zip(panels, shown, strict=True):
            draw_timeline(
                panel,
                [prediction.windows_s[0] for prediction in predictions],
                [list(prediction.probabilities.values()) for prediction in predictions],
                [prediction.faces_missed > 0 and prediction.faces_found == 0 for prediction in predictions],
                labels,
            )
            name = video.name.encode("utf-8", "backslashreplace").decode()  # disks allow names that are not
            panel.set_title(name, loc="left", fontsize="medium")
        panels[-1].set_xlabel("seconds")
        drawn: dict[str, Any] = {}
        for panel in panels:
            for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
                drawn.setdefault(name, handle)
        figure.legend(list(drawn.values()), list(drawn), loc="outside right upper", frameon=False)
        with whole_file(path) as scratch:
            figure.savefig(scratch, dpi=110)
