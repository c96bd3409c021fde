"""FER+: ten people's votes on the 48 × 48 pictures of FER2013."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.labels import FERPLUS
from s2d_edge.core.caches import cache_folder
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.core.files import whole_folder
from s2d_edge.core.scratch import sweep
from s2d_edge.data.reading.listing import Entry, Listing
from s2d_edge.data.reading.tables import read_rows, whole_number

_VOTES, _PIXELS = "fer2013new.csv", "fer2013.csv"
_SPLITS = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
_FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}
_SIDE = 48
_COPY_AGAIN = "copy the official file again"


def list_ferplus(root: Path, console: Console) -> Listing:
    """List FER+ (Barsoum et al. 2016, arXiv 1608.01041) by the majority of the votes.

    As in the authors' code: single votes are dropped, and the class with more than half of the remaining
    votes, those for "unknown" and "no face" among them, is the label. A picture without such a class is
    undecided where some class has more of these votes than "unknown" and "no face" have; otherwise it is left
    out. Every picture keeps all votes that name a class, single ones too.

    The official file lists three pictures twice, with the same votes: each is taken once. The pictures are
    those that the authors' script writes (``FER2013Train`` and so on), or else unpacked from ``fer2013.csv``
    into the cache.

    Raises:
        DataError: a file is missing or damaged.
    """
    file = root / _VOTES
    rows = _read_table(file, ("Usage", "Image name", *FERPLUS.labels, "unknown", "NF"))
    named = {row[0] for _, row in rows}  # a copy may lack a part: rows and pictures of the test split, say
    unpacked = all((root / folder).is_dir() for usage, folder in _FOLDERS.items() if usage in named)
    pictures = root if unpacked else _unpack(root / _PIXELS, rows, console)
    entries: list[Entry] = []
    undecided: list[Entry] = []
    unnamed = doubles = 0
    seen: set[tuple[str, ...]] = set()
    for line, row in rows:
        if not row[1]:  # not a face
            continue
        if tuple(row) in seen:
            doubles += 1
            continue
        seen.add(tuple(row))
        votes = [_whole_number(file, line, vote) for vote in row[2:]]
        path = pictures / _folder(file, line, row[0]) / _picture_name(file, line, row[1])
        label = leading(votes)
        if label is None:
            unnamed += 1
            continue
        (entries if majority(votes) else undecided).append(
            Entry(
                path=path,
                label=label,
                split=_SPLITS[row[0]],
                file=file,
                line=line,
                votes=tuple(votes[: len(FERPLUS.labels)]),
            )
        )
    notes = [f"{len(undecided) + unnamed} pictures without a majority are left out"]
    if undecided:
        notes.append(f"{len(undecided)} of them have votes enough to train on: train --set undecided=true")
    if doubles:
        notes.append(f"{doubles} rows list a picture again with the same votes; it is taken once")
    return Listing(
        name="ferplus",
        root=root,
        labels=FERPLUS.labels,
        entries=tuple(entries),
        missing_hint="unpack the pictures there, or continue without them with --skip-unreadable",
        published=FERPLUS,
        notes=tuple(notes),
        undecided=tuple(undecided),
    )


def majority(votes: Sequence[int]) -> str | None:
    """The class that more than half of the votes name.

    Args:
        votes: one number for each class in order, then those for "unknown" and for "no face".

    Returns:
        A label of FER+; None where no class has more than half of the counted votes.
    """
    counted = _counted(votes)
    label = leading(votes)
    return label if label is not None and 2 * max(counted) > sum(counted) else None


def leading(votes: Sequence[int]) -> str | None:
    """The class that most of the votes name, the first of several.

    Args:
        votes: as :func:`majority` takes them.

    Returns:
        A label of FER+; None where "unknown" or "no face" has as many votes, or all votes are single ones.
    """
    counted = _counted(votes)
    classes = len(FERPLUS.labels)
    most = max(counted[:classes])
    return FERPLUS.labels[counted.index(most)] if most > max(counted[classes:]) else None


def _counted(votes: Sequence[int]) -> list[int]:
    """The votes without single ones, as the authors count them."""
    return [vote if vote > 1 else 0 for vote in votes]


def _read_table(file: Path, columns: Sequence[str]) -> list[tuple[int, list[str]]]:
    """The rows below the header with their line numbers, cells in the order of ``columns``."""
    if not file.is_file():
        raise DataError(f"{file.parent} holds no {file.name}, which is a part of FER+; copy it there")
    table = read_rows(file)
    _, header = next(table, (0, []))
    absent = [column for column in columns if column not in header]
    if absent:
        raise DataError(
            f"{file} has no column {absent[0]!r}, only {', '.join(map(repr, header))}; {_COPY_AGAIN}"
        )
    places = [header.index(column) for column in columns]
    rows = []
    for line, cells in table:
        if len(cells) != len(header):
            raise DataError(
                f"{file}, line {line}: {len(cells)} cells where the header has {len(header)}; {_COPY_AGAIN}"
            )
        rows.append((line, [cells[place] for place in places]))
    return rows


def _unpack(file: Path, votes: Sequence[tuple[int, list[str]]], console: Console) -> Path:
    """Write the pictures of ``fer2013.csv`` under their names in FER+, once; return their folder."""
    if not file.is_file():
        raise DataError(
            f"{file.parent} holds neither {_PIXELS} nor the pictures made from it "
            f"({', '.join(_FOLDERS.values())})"
        )
    state = file.stat()
    key = hashlib.sha256(f"{file.resolve()}\0{state.st_size}\0{state.st_mtime_ns}".encode()).hexdigest()[:32]
    folder = cache_folder() / "ferplus" / key
    if folder.is_dir():
        return folder
    sweep(folder.parent, "[0-9a-f]{32}")
    rows = _read_table(file, ("pixels", "Usage"))
    if len(rows) != len(votes):
        raise DataError(
            f"{file} has {len(rows)} rows and {_VOTES} {len(votes)}; they must belong together: {_COPY_AGAIN}"
        )
    with (
        whole_folder(folder, shared=True) as scratch,
        console.progress(f"unpacking {_PIXELS}", len(rows)) as advance,
    ):
        for name in _FOLDERS.values():
            (scratch / name).mkdir()
        for (line, (pixels, usage)), (_, vote) in zip(rows, votes, strict=True):
            if usage != vote[0]:
                raise DataError(
                    f"{file}, line {line}: {usage!r} where {_VOTES} has {vote[0]!r}; {_COPY_AGAIN}"
                )
            if vote[1]:
                picture = _picture(file, line, pixels)
                path = scratch / _folder(file, line, usage) / _picture_name(file, line, vote[1])
                path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            advance(1)
    return folder


def _picture(file: Path, line: int, pixels: str) -> NDArray[np.uint8]:
    """(48, 48) uint8 from numbers between blanks, row after row."""
    try:
        return np.frombuffer(bytes(map(int, pixels.split())), dtype=np.uint8).reshape(_SIDE, _SIDE)
    except (ValueError, OverflowError):  # no numbers, not bytes, or too few
        raise DataError(
            f"{file}, line {line}: not {_SIDE} × {_SIDE} pixels from 0 to 255; {_COPY_AGAIN}"
        ) from None


def _folder(file: Path, line: int, usage: str) -> str:
    if usage not in _FOLDERS:
        raise DataError(f"{file}, line {line}: {usage!r} is not one of {', '.join(_FOLDERS)}; {_COPY_AGAIN}")
    return _FOLDERS[usage]


def _picture_name(file: Path, line: int, name: str) -> str:
    if name != Path(name).name or not name.isprintable() or len(name) > 100:
        raise DataError(f"{file}, line {line}: {name!r} is not the name of a picture; {_COPY_AGAIN}")
    return name


def _whole_number(file: Path, line: int, cell: str) -> int:
    number = whole_number(cell)
    if number is None or number < 0:
        raise DataError(f"{file}, line {line}: {cell!r} is not a whole number; {_COPY_AGAIN}")
    return number
