"""The columns of a labels file: found by name in any case, and refused where a near miss would be ignored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.spelling import bare

WANTED = "path,label[,subject][,split]"
_REQUIRED, _OPTIONAL = ("path", "label"), ("subject", "split")
_COUNTERS = {"", "s", "id", "ids", "no", "nr", "name", "names"}  # what people add to a column's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where the cells of a row are.

    Attributes:
        width: number of cells of a row.
        known: position of ``path``, ``label`` and, where they are there, ``subject`` and ``split``.
        further: names and positions of all other named columns, in the file's order.
    """

    width: int
    known: dict[str, int]
    further: tuple[tuple[str, int], ...]


def find_columns(file: Path, header: Sequence[str], *, as_written: bool = False) -> Columns:
    """Find the columns by the first row of a labels file.

    Names are compared without case and blanks. A column without a name is ignored.

    Args:
        file: named in errors.
        header: the cells of the first row; empty for an empty file.
        as_written: find only what is spelled exactly, and ignore all else, as older versions did.

    Raises:
        DataError: no header, a name given twice, ``path`` or ``label`` missing, or a name that is nearly
            ``subject`` or ``split``: ignored, it would let people or test clips into training.
    """
    if not any(header):
        raise DataError(f"{file} is empty; wanted a header {WANTED} and rows")
    names = list(header) if as_written else [bare(name) for name in header]
    for place, name in enumerate(names):
        first = names.index(name)
        if name and first < place and not as_written:
            raise DataError(
                f"{file}: columns {first + 1} and {place + 1} have one name, {header[first]!r} and "
                f"{header[place]!r}; remove or rename one"
            )
    known = {name: place for place, name in enumerate(names) if name in (*_REQUIRED, *_OPTIONAL)}
    further = tuple(
        (name, place) for place, name in enumerate(header) if name and place not in known.values()
    )
    for column in _REQUIRED:
        if column not in known:
            have = ", ".join(repr(name) for name in header if name)
            hint = " with commas between the cells" if len(header) == 1 else ""
            raise DataError(f"{file} has no column {column!r}, only {have}; wanted {WANTED}{hint}")
    for column in () if as_written else _OPTIONAL:
        near = next((name for name, _ in further if column not in known and _is_near(name, column)), None)
        if near is not None:
            raise DataError(
                f"{file}: the column {near!r} would be ignored, and reads like {column!r}; rename it to "
                f"{column!r}, or to something else where it is none"
            )
    return Columns(width=len(header), known=known, further=further)


def _is_near(name: str, column: str) -> bool:
    """True if a part of the name is the column's: misspelled by a letter, shortened, or with an addition."""
    parts = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    return any(_is_spelling(bare(part), column) for part in (*parts, "".join(parts)))


def _is_spelling(part: str, column: str) -> bool:
    if part.startswith(column) and part[len(column) :] in _COUNTERS:
        return True
    if len(part) >= 3 and column.startswith(part):
        return True
    return _one_edit_apart(part, column)


def _one_edit_apart(one: str, other: str) -> bool:
    """True if a letter added, left out or replaced, or two swapped, turns one text into the other."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    start = next((k for k, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    swapped = long[:start] + long[start : start + 2][::-1] + long[start + 2 :]
    return short[start + 1 :] == long[start + 1 :] or short == swapped
