"""``predict`` without ``--every``: one prediction for each clip, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import s2d_edge
from s2d_edge.core.console import write_json
from s2d_edge.core.errors import MediaError


def predict_clips(
    model: s2d_edge.Model,
    paths: Sequence[Path],
    console: s2d_edge.Console,
    *,
    crop: bool,
    json: str | None,
    skip: Callable[[Path, MediaError], None],
    unreadable: Sequence[dict[str, Any]],
) -> None:
    """Predict every clip that can be read, show a table, and write the JSON.

    Args:
        skip: called with each path that cannot be read.
        unreadable: what ``skip`` collected, for the JSON.
    """
    from rich.table import Column, Table

    skipped: set[Path] = set()

    def note(path: Path, error: MediaError) -> None:
        skipped.add(path)
        skip(path, error)

    predictions = model.predict_many(paths, crop=crop, on_unreadable=note, console=console)
    table = Table(Column("path", overflow="fold"), "label", "probability", "faces", "seconds")
    results = []
    predicted = [path for path in paths if path not in skipped]
    for path, prediction in zip(predicted, predictions, strict=True):
        table.add_row(
            str(path),
            prediction.label,
            f"{prediction.probability:.3f}",
            f"{prediction.faces_found} of {prediction.frames}" if crop else "–",
            ", ".join(f"{begin:.1f}–{end:.1f}" for begin, end in prediction.windows_s) or "–",
        )
        results.append({"path": str(path)} | as_json(prediction))
    if table.row_count:
        console.show(table)
    if json is not None:
        write_json(json, {"results": results, "unreadable": list(unreadable)})


def as_json(prediction: s2d_edge.Prediction) -> dict[str, Any]:
    """One prediction as JSON; see docs/reference/results.md."""
    covered = prediction.seconds_covered
    return {
        "label": prediction.label,
        "probabilities": prediction.probabilities,
        "logits": list(prediction.logits),
        "frames": prediction.frames,
        "faces_found": prediction.faces_found,
        "faces_missed": prediction.faces_missed,
        "repeated": prediction.repeated,
        "pace": round(prediction.pace, 3),
        "windows_s": [[round(begin, 4), round(end, 4)] for begin, end in prediction.windows_s],
        "seconds_covered": None if covered is None else round(covered, 4),
    }
