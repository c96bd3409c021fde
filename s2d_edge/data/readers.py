"""Labelled clips from a CSV file or from folders named after splits and labels."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from s2d_edge.data.samples import Dataset, Sample
from s2d_edge.errors import DataError
from s2d_edge.media_types import IMAGE_SUFFIXES, VIDEO_SUFFIXES

LABELS_FILE = "labels.csv"
DEFAULT_SPLIT = "train"  # of a CSV without a split column: training carves its validation out of it
_NAMED = 5  # how many offenders an error names


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int
    path: Path
    label: str
    subject: str | None
    split: str


def read_csv(path: Path, labels: Sequence[str] | None = None) -> Dataset:
    """Read ``path,label[,subject][,split]``, one video, picture or frame folder a row.

    Paths are relative to the CSV file. Further columns are ignored. Without a ``split`` column every row
    belongs to ``train``.

    Args:
        path: the CSV file, UTF-8.
        labels: the order the class indices follow; the sorted names of the file without it.

    Raises:
        DataError: not readable as UTF-8 CSV, empty, a column missing, a cell empty, a label outside
            ``labels``, a path given twice, or paths that do not exist.
    """
    rows = _read_rows(path)
    order = _label_order(((row.label, f"{path}, line {row.line}") for row in rows), labels)
    seen: dict[Path, int] = {}
    for row in rows:
        if row.path in seen:
            raise DataError(
                f"{path}, line {row.line}: {row.path} is listed already on line {seen[row.path]}; "
                "a clip may have one label and one split"
            )
        seen[row.path] = row.line
    root = path.parent
    missing = [row for row in rows if not (root / row.path).exists()]
    if missing:
        named = ", ".join(f"{row.path} (line {row.line})" for row in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise DataError(
            f"{path}: {len(missing)} of {len(rows)} paths do not exist under {root}: {named}{more}; "
            "paths are relative to the CSV file"
        )
    samples = tuple(
        Sample(path=root / row.path, label=order[row.label], split=row.split, subject=row.subject)
        for row in rows
    )
    name = path.resolve().parent.name if path.name == LABELS_FILE else path.stem
    return Dataset(name=name, root=root, labels=tuple(order), samples=samples)


def read_folders(root: Path, labels: Sequence[str] | None = None) -> Dataset:
    """Read ``root/SPLIT/LABEL/*``, each entry one video, picture or frame folder.

    Names that begin with a dot are passed over.

    Args:
        root: the dataset's folder.
        labels: the order the class indices follow; the sorted folder names without it.

    Raises:
        DataError: no such folder, no ``SPLIT/LABEL`` below it, no clip in them, a label outside
            ``labels``, or an entry that is neither picture, video nor folder.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; wanted a dataset laid out as ROOT/SPLIT/LABEL/*")
    classes = [(split, label) for split in _folders(root) for label in _folders(split)]
    if not classes:
        raise DataError(
            f"{root} holds neither {LABELS_FILE} nor folders SPLIT/LABEL; lay the clips out as "
            f"{root.name}/train/happy/*, or list them in a {LABELS_FILE} with the columns path,label"
        )
    order = _label_order(((label.name, str(label)) for _, label in classes), labels)
    samples = [
        Sample(path=clip, label=order[label.name], split=split.name)
        for split, label in classes
        for clip in _clips(label)
    ]
    if not samples:
        raise DataError(f"{root}: its {len(classes)} SPLIT/LABEL folders are all empty")
    return Dataset(name=root.resolve().name, root=root, labels=tuple(order), samples=tuple(samples))


def _read_rows(path: Path) -> list[_Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            if not reader.fieldnames:
                raise DataError(f"{path} is empty; wanted a header path,label[,subject][,split] and rows")
            columns = [column.strip() for column in reader.fieldnames]
            for column in ("path", "label"):
                if column not in columns:
                    raise DataError(
                        f"{path} has no column {column!r}, only {', '.join(columns)}; "
                        "wanted path,label[,subject][,split]"
                    )
            reader.fieldnames = columns
            rows = [_row(path, reader.line_num, cells) for cells in reader]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV ({error})") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if not rows:
        raise DataError(f"{path} has a header and no rows; wanted one row per clip")
    return rows


def _row(file: Path, line: int, cells: dict[str | None, str | list[str] | None]) -> _Row:
    if None in cells or None in cells.values():
        raise DataError(f"{file}, line {line}: the number of cells differs from the header's")
    texts = {str(column): str(cell).strip() for column, cell in cells.items()}
    for column in ("path", "label", "split"):
        if not texts.get(column, "filled"):
            raise DataError(f"{file}, line {line}: the cell {column!r} is empty")
    return _Row(
        line=line,
        path=Path(texts["path"]),
        label=texts["label"],
        subject=texts.get("subject") or None,
        split=texts.get("split", DEFAULT_SPLIT),
    )


def _label_order(found: Iterable[tuple[str, str]], labels: Sequence[str] | None) -> dict[str, int]:
    """Index of each label; ``found`` pairs each label with where it stands, for the error."""
    where: dict[str, str] = {}
    for label, place in found:
        where.setdefault(label, place)
    order = {label: index for index, label in enumerate(labels or sorted(where))}
    for label, place in where.items():
        if label not in order:
            raise DataError(f"{place}: label {label!r} is not in the set {', '.join(order)}")
    return order


def _folders(parent: Path) -> list[Path]:
    return sorted(entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _clips(folder: Path) -> list[Path]:
    clips = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    for clip in clips:
        if not clip.is_dir() and clip.suffix.lower() not in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
            raise DataError(
                f"{clip} is neither a picture, a video nor a folder of frames; remove it from the dataset"
            )
    return clips
