"""Data as a caller of the API names it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def set_names(data: str | Path | Sequence[str | Path] | None) -> tuple[str, ...]:
    """The sets named by one path, by several, or by none."""
    if data is None:
        return ()
    return (str(data),) if isinstance(data, str | Path) else tuple(map(str, data))
