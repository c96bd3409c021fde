"""Pictures and videos whose labels do not matter: any folder, or a dataset whose labels are ignored."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.joined import join, unique_name
from s2d_edge.data.reading.listing import Entry, Listing, as_dataset
from s2d_edge.data.reading.open import list_data, say_notes
from s2d_edge.data.reading.readers import LABELS_FILE
from s2d_edge.data.reading.spelling import in_one_line
from s2d_edge.data.reading.split_names import TRAIN, VAL
from s2d_edge.media.kinds import file_kind

UNLABELLED = "unlabelled"  # the one label of all clips


def open_unlabelled(data: Sequence[str], console: Console, *, missing_ok: bool = False) -> Dataset:
    """Open the clips of the splits ``train`` and ``val`` of each ``--data``, all with one label.

    Args:
        data: each as ``--data`` takes it, or a folder of pictures and videos in any arrangement, all of which
            are ``train``. A folder is divided into splits if it has one called ``train``.
        missing_ok: accept missing clips; loading may skip them.

    Raises:
        DataError: nothing readable there, no clips to train on, missing ones, or a file in two sets.
    """
    sets: list[Dataset] = []
    for each in data:
        listing = _list_one(each, console)
        listing = replace(listing, name=unique_name(listing.name, [other.name for other in sets]))
        sets.append(as_dataset(listing, missing_ok=missing_ok))
    return join(sets) if len(sets) > 1 else sets[0]


def _list_one(data: str, console: Console) -> Listing:
    path = Path(data)
    if path.is_dir() and not (path / LABELS_FILE).is_file() and not (path / TRAIN).is_dir():
        listing = _list_files(path)
    else:
        listing = replace(list_data(data, console), notes=())  # they are about labels
    say_notes(listing, console)
    used = [entry for entry in (*listing.entries, *listing.undecided) if entry.split in (TRAIN, VAL)]
    if not any(entry.split == TRAIN for entry in used):
        have = ", ".join(sorted({entry.split for entry in listing.entries}))
        raise DataError(
            f"dataset {listing.name!r} has no clip in the split {TRAIN!r}, but in {have}; add some"
        )
    entries = tuple(replace(entry, label=UNLABELLED, votes=None) for entry in used)
    listing = replace(listing, entries=entries, undecided=(), labels=(UNLABELLED,), published=None)
    repeated = {id(entry) for entry, first in listing.repeats() if entry.split == first.split}
    return replace(listing, entries=tuple(entry for entry in entries if id(entry) not in repeated))


def _list_files(root: Path) -> Listing:
    """List all pictures and videos below ``root``; names that begin with a dot are skipped."""
    entries, others = [], 0
    for path in _files(root):
        if file_kind(path) is None:
            others += 1
        else:
            entries.append(Entry(path=path, label=UNLABELLED, split=TRAIN, file=path.parent))
    if not entries:
        raise DataError(f"{root} holds no picture and no video, also in the folders below it; put some there")
    return Listing(
        name=in_one_line(root.resolve().name),
        root=root,
        labels=(UNLABELLED,),
        entries=tuple(entries),
        missing_hint="they disappeared while the folders were read; run it again",
        notes=(f"{others} files that are neither picture nor video are left out",) if others else (),
    )


def _files(root: Path) -> Iterator[Path]:
    """All files below ``root`` in the order of their names."""
    for folder, inside, files in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))
