"""Text files of labels, read whole or refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s2d_edge.core.errors import DataError


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, a byte order mark left out and line ends as they are.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def read_pairs(path: Path, headers: Sequence[str] = ()) -> list[tuple[int, str, str]]:
    """The rows of an annotation file of two columns, separated by a comma or by blanks.

    Args:
        headers: a first line whose first cell is one of these is passed over.

    Returns:
        Per row its line number from 1, and its two cells.

    Raises:
        DataError: not readable, no row, or a row of another number of cells.
    """
    rows = []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        cells = [cell.strip() for cell in text.split(",")] if "," in text else text.split()
        if not cells or (line == 1 and cells[0] in headers):
            continue
        if len(cells) != 2 or not all(cells):
            raise DataError(f"{path}, line {line}: {text.strip()!r} is not a clip and its label")
        rows.append((line, cells[0], cells[1]))
    if not rows:
        raise DataError(f"{path} holds no row; wanted one clip and its label a line")
    return rows
