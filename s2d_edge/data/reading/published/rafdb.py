"""RAF-DB: aligned photographs."""

from __future__ import annotations

from pathlib import Path

from s2d_edge.contracts.labels import RAFDB
from s2d_edge.data.reading.listing import Entry, Listing
from s2d_edge.data.reading.published.annotations import class_name, find_annotation
from s2d_edge.data.reading.tables import read_pairs

_LIST = "EmoLabel/list_patition_label.txt"  # the authors' spelling


def list_rafdb(root: Path) -> Listing:
    """List RAF-DB's basic emotions (Li, Deng and Du 2017), from ``basic/`` or its parent.

    The name of a picture begins with its split; classes count from 1.

    Raises:
        DataError: the list is missing or damaged.
    """
    file = find_annotation(root, (_LIST, f"basic/{_LIST}"), "list of RAF-DB's labels")
    pictures = file.parents[1] / "Image/aligned"
    entries = tuple(
        Entry(
            path=pictures / f"{Path(name).stem}_aligned.jpg",
            label=class_name(label, RAFDB.labels, 1),
            split=name.split("_")[0],
            file=file,
            line=line,
        )
        for line, name, label in read_pairs(file)
    )
    return Listing(
        name="rafdb",
        root=root,
        labels=RAFDB.labels,
        entries=entries,
        missing_hint="unpack Image/aligned there, or continue without them with --skip-unreadable",
        published=RAFDB,
    )
