"""List labelled clips from a CSV file, or from folders named after splits and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.columns import Columns, find_columns
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.listing import Entry, Listing, as_dataset
from s2d_edge.data.reading.spelling import bare, in_one_line, is_text
from s2d_edge.data.reading.split_names import TRAIN
from s2d_edge.data.reading.tables import is_there, read_listing

LABELS_FILE = "labels.csv"
ANIMATED_COLUMNS = ("still", "apex")  # of sets of animated stills: where a clip comes from
DEFAULT_SPLIT = TRAIN  # of a CSV without a split column: training carves its validation out of it


def read_csv(path: Path, labels: Sequence[str] | None = None) -> Dataset:
    """Read a CSV file of clips that are all there; see :func:`list_csv`.

    Raises:
        DataError: what :func:`list_csv` and :func:`as_dataset` raise.
    """
    return as_dataset(list_csv(path, labels))


def read_folders(root: Path, labels: Sequence[str] | None = None) -> Dataset:
    """Read folders that hold nothing but clips; see :func:`list_folders`.

    Raises:
        DataError: what :func:`list_folders` and :func:`as_dataset` raise.
    """
    return as_dataset(list_folders(root, labels))


def list_csv(path: Path, labels: Sequence[str] | None = None, *, as_written: bool = False) -> Listing:
    """List ``path,label[,subject][,split]``, one video, picture or frame folder a row.

    Paths are relative to the CSV file. Columns are found by name in any case; further ones are ignored, and
    named in the notes. Without a ``split`` column every row belongs to ``train``.

    Args:
        path: the CSV file, UTF-8.
        labels: the order the class indices follow; the sorted names of the file without it.
        as_written: as :func:`find_columns` takes it.

    Raises:
        DataError: not readable as UTF-8 CSV, empty, a column missing, misspelled or named twice, or a cell
            empty or with characters that cannot be printed.
    """
    columns, rows = read_labels(path, as_written=as_written)
    entries = tuple(_entry(path, line, columns, cells) for line, cells in rows)
    ignored = ", ".join(repr(name) for name, _ in columns.further if name not in ANIMATED_COLUMNS)
    return Listing(
        name=in_one_line(path.resolve().parent.name if path.name == LABELS_FILE else path.stem),
        root=path.parent,
        labels=_order([entry.label for entry in entries], labels),
        entries=entries,
        missing_hint="paths are relative to the CSV file",
        notes=(f"no use is made of the column(s) {ignored}",) if ignored else (),
        labels_given=labels is not None,
    )


def read_labels(path: Path, *, as_written: bool = False) -> tuple[Columns, list[tuple[int, list[str]]]]:
    """Read a labels file: its columns, and its rows as they are written, each with its line number.

    Raises:
        DataError: not readable as UTF-8 CSV, empty, a row of another length, or what ``find_columns`` raises.
    """
    reading = read_listing(path)
    header = [cell.strip() for cell in next(reading, (0, []))[1]]
    if not is_text("".join(header).replace("\t", "")):
        raise DataError(f"{path} does not begin with a header in UTF-8; save it as a CSV file in UTF-8")
    columns = find_columns(path, header, as_written=as_written)
    rows = list(reading)
    if not rows:
        raise DataError(f"{path} has a header and no rows; wanted one row per clip")
    for line, cells in rows:
        if len(cells) != columns.width:
            raise DataError(
                f"{path}, line {line}: {len(cells)} cells where the header has {columns.width}; correct it"
            )
    return columns, rows


def list_folders(root: Path, labels: Sequence[str] | None = None) -> Listing:
    """List ``root/SPLIT/LABEL/*``, each entry one video, picture or frame folder.

    Names that begin with a dot are skipped.

    Args:
        root: the dataset's folder.
        labels: the order the class indices follow; the sorted folder names without it.

    Raises:
        DataError: no such folder, no ``SPLIT/LABEL`` below it, no clip in them, or a split or label that has
            no printable name.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; wanted a dataset laid out as ROOT/SPLIT/LABEL/*")
    classes = [(split, label) for split in _folders(root) for label in _folders(split)]
    if not classes:
        raise DataError(
            f"{root} holds neither {LABELS_FILE} nor folders SPLIT/LABEL; lay the clips out as "
            f"{root.name}/train/happy/*, or list them in a {LABELS_FILE} with the columns path,label"
        )
    for split, label in classes:
        for folder in (split, label):
            if not is_text(folder.name) or not bare(folder.name):
                raise DataError(
                    f"{str(folder)!r}: the name of a split or label must be text; rename the folder"
                )
    entries = tuple(
        Entry(path=clip, label=label.name, split=split.name, file=label)
        for split, label in classes
        for clip in _visible(label)
    )
    if not entries:
        raise DataError(f"{root}: its {len(classes)} SPLIT/LABEL folders are all empty; put the clips there")
    return Listing(
        name=in_one_line(root.resolve().name),
        root=root,
        labels=_order([label.name for _, label in classes], labels),
        entries=entries,
        missing_hint="they disappeared while the folders were read; run it again",
        labels_given=labels is not None,
    )


def _entry(file: Path, line: int, columns: Columns, cells: Sequence[str]) -> Entry:
    texts = {name: cells[place].strip() for name, place in columns.known.items()}
    for column, text in texts.items():
        if not bare(text) and column != "subject":
            raise DataError(f"{file}, line {line}: the cell {column!r} is empty; fill it, or remove the row")
    path = file.parent / texts["path"]
    # A name may begin with a blank, hold a line break or be no text, if the file of that name is there.
    exact = file.parent / cells[columns.known["path"]]
    if exact != path and is_there(exact):
        path = exact
    if not is_there(path) and "\\" in texts["path"]:  # written on Windows
        slashed = file.parent / texts["path"].replace("\\", "/")
        path = slashed if is_there(slashed) else path
    for column, text in texts.items():
        if not is_text(text) and not (column == "path" and is_there(path)):
            raise DataError(
                f"{file}, line {line}: the cell {column!r} holds {text!r}; wanted one line of text: "
                "correct it, or save the file as UTF-8"
            )
    return Entry(
        path=path,
        label=texts["label"],
        subject=texts.get("subject") or None,
        split=texts.get("split", DEFAULT_SPLIT),
        file=file,
        line=line,
    )


def _order(found: Sequence[str], labels: Sequence[str] | None) -> tuple[str, ...]:
    """``labels``, or without them those found, sorted."""
    return tuple(sorted(set(found)) if labels is None else labels)


def _folders(parent: Path) -> list[Path]:
    return [entry for entry in _visible(parent) if entry.is_dir()]


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
