"""Shared by the readers of published datasets: find an annotation file, and name its class ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.tables import whole_number


def find_annotation(root: Path, places: Iterable[str], what: str) -> Path:
    """The first of ``places`` under ``root`` that exists.

    Raises:
        DataError: none does; names them all.
    """
    tried = []
    for place in places:
        if (root / place).is_file():
            return root / place
        tried.append(place)
    raise DataError(f"{root} holds no {what}; put there one of: {', '.join(tried)}")


def class_name(text: str, labels: Sequence[str], first_id: int) -> str:
    """The class of an annotation, given by its name in any case or by its id.

    Args:
        labels: class names, in the order of their ids.
        first_id: the id of the first class.

    Returns:
        One of ``labels``; some other text where the annotation names no class.
    """
    number = whole_number(text)
    if number is None:
        return text.lower()
    index = number - first_id
    if 0 <= index < len(labels):
        return labels[index]
    return f"id {text} (of {first_id} to {first_id + len(labels) - 1})"
