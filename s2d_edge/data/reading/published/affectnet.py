"""AffectNet as the folders of pictures and ``.npy`` annotations that its authors hand out."""

from __future__ import annotations

from pathlib import Path

from s2d_edge.contracts.labels import AFFECTNET7, AFFECTNET8, LabelSet
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.listing import Entry, Listing
from s2d_edge.data.reading.published.annotations import class_name
from s2d_edge.data.reading.tables import read_array
from s2d_edge.media.kinds import IMAGE_SUFFIXES

# AffectNet's own test set was never handed out: everybody reports on its validation set.
_SPLITS = {"train": "train_set", "test": "val_set"}
_ENDING = "_exp.npy"


def list_affectnet(root: Path, known: LabelSet, console: Console) -> Listing:
    """List AffectNet (Mollahosseini, Hasani and Mahoor 2017, arXiv 1708.03985).

    ``train_set`` is ``train``; ``val_set``, on which results are reported, is ``test``.

    Args:
        known: ``AFFECTNET8``, or ``AFFECTNET7`` to leave contempt out.

    Raises:
        DataError: a folder is missing, or an annotation cannot be read.
    """
    entries: list[Entry] = []
    for split, name in _SPLITS.items():
        annotations, pictures = root / name / "annotations", root / name / "images"
        for folder in (annotations, pictures):
            if not folder.is_dir():
                raise DataError(
                    f"{root} holds no {name}/{folder.name}, which is a part of AffectNet; copy it there"
                )
        entries += _entries(annotations, pictures, split, console)
    kept = tuple(entry for entry in entries if known is not AFFECTNET7 or entry.label != "contempt")
    notes = [f"{len(entries) - len(kept)} pictures of contempt are left out"] if known is AFFECTNET7 else []
    return Listing(
        name=known.name,
        root=root,
        labels=known.labels,
        entries=kept,
        missing_hint="unpack the pictures there, or continue without them with --skip-unreadable",
        published=known,
        notes=tuple(notes),
    )


def _entries(annotations: Path, pictures: Path, split: str, console: Console) -> list[Entry]:
    files = {path.stem: path for path in pictures.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES}
    found = sorted(path for path in annotations.iterdir() if path.name.endswith(_ENDING))
    if not found:
        raise DataError(f"{annotations} holds no *{_ENDING}; wanted one for each picture: copy them there")
    entries = []
    with console.progress(f"reading AffectNet's {split} labels", len(found)) as advance:
        for file in found:
            stem = file.name.removesuffix(_ENDING)
            label = class_name(_read(file), AFFECTNET8.labels, 0)
            picture = files.get(stem, pictures / f"{stem}.jpg")
            entries.append(Entry(path=picture, label=label, split=split, file=file))
            advance(1)
    return entries


def _read(file: Path) -> str:
    """The one value of an annotation: text in some copies, a number in others."""
    value = read_array(file, "copy it again")
    if value.size != 1:
        raise DataError(f"{file} holds {value.size} values; wanted one label: copy it again")
    return str(value.item()).strip()
