"""Files of labels, read whole or refused by name: text, CSV rows, pairs, NumPy arrays."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.core.errors import DataError


def is_there(path: Path) -> bool:
    """True when ``path`` exists; a name that no file can have does not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def read_text(path: Path) -> str:
    """Read a UTF-8 file, without its byte order mark and with its own line ends.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    raw = _read_bytes(path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = raw[: error.start].count(b"\n") + 1, raw[error.start]
        raise DataError(
            f"{path}, line {line}: not UTF-8 text (byte 0x{byte:02x}); save the file as UTF-8"
        ) from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); check the path and its permissions"
        ) from None


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Read a CSV file in UTF-8, row by row; blank lines are skipped.

    Yields:
        The number of the row's last line, from 1, and its cells without surrounding blanks.

    Raises:
        DataError: it cannot be read, is not UTF-8, or is not CSV.
    """
    for line, cells in _read_csv(path, read_text(path)):
        yield line, [cell.strip() for cell in cells]


def read_listing(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Read a CSV file that names files, row by row; blank lines are skipped.

    Its cells are as written: a file's name may begin with a blank. It may also hold bytes that are not UTF-8;
    they arrive as surrogates, as the operating system's functions return and take them.

    Yields:
        The number of the row's last line, from 1, and its cells.

    Raises:
        DataError: it cannot be read or is not CSV: quotes that are not closed, or not followed by a comma.
    """
    text = _read_bytes(path).decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    return _read_csv(path, text, strict=True)


def _read_csv(path: Path, text: str, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=strict)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: not valid CSV ({error}); correct that line"
        ) from None


def read_pairs(path: Path, headers: Sequence[str] = ()) -> list[tuple[int, str, str]]:
    """Read an annotation file of two columns, separated by a comma or by blanks.

    Args:
        headers: a first line whose first cell is one of these is skipped.

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
            raise DataError(f"{path}, line {line}: {text.strip()!r} is not a clip and its label; correct it")
        rows.append((line, cells[0], cells[1]))
    if not rows:
        raise DataError(f"{path} holds no row; wanted one clip and its label a line")
    return rows


def whole_number(text: str) -> int | None:
    """The number that up to 18 decimal digits spell, with or without a minus sign; None for other text."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def read_array(path: Path, remedy: str) -> NDArray[Any]:
    """Read the one array of a ``.npy`` file; pickled objects are refused.

    Args:
        remedy: advice for the user, the end of the message.

    Raises:
        DataError: not a readable NumPy array.
    """
    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
        if isinstance(array, np.ndarray):
            return array
        reason: object = "it is an archive of arrays"
    except Exception as error:  # NumPy raises almost anything on files that it did not write
        reason = in_few_words(error)
    raise DataError(f"{path} is not a NumPy array ({reason}); {remedy}")


def read_arrays(path: Path, names: Sequence[str], remedy: str) -> tuple[NDArray[Any], ...]:
    """Read the arrays ``names`` of a ``.npz`` file, in that order; pickled objects are refused.

    Args:
        remedy: advice for the user, the end of the message.

    Raises:
        DataError: not a readable archive, or an array is not in it.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return tuple(stored[name] for name in names)
    except Exception as error:  # NumPy raises almost anything on files that it did not write
        raise DataError(
            f"{path} does not hold the arrays {', '.join(names)} ({in_few_words(error)}); {remedy}"
        ) from None


def in_few_words(error: Exception) -> str:
    """The first line of an error's text, or its kind where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)
