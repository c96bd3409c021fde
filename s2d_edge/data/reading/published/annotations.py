"""What the readers of published datasets share: finding an annotation file, and naming its class ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from s2d_edge.core.errors import DataError


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
    raise DataError(f"{root} holds no {what}; wanted one of: {', '.join(tried)}")


def class_name(text: str, labels: Sequence[str], first_id: int) -> str:
    """The class an annotation means, by its name in any case or by its id.

    Returns:
        One of ``labels``; words that are none of them where the annotation means no class.
    """
    if not text.lstrip("-").isdecimal():
        return text.lower()
    index = int(text) - first_id
    if 0 <= index < len(labels):
        return labels[index]
    return f"id {text} (of {first_id} to {first_id + len(labels) - 1})"
