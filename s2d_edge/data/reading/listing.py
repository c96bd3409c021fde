"""What a dataset's annotations say, before it is known whether all of it can be used.

Training and evaluation want a :class:`Dataset`, where every label is known and every clip is there; ``data
check`` wants to see everything that is not so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from s2d_edge.contracts.labels import LabelSet
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.media.pictures import IMAGE_SUFFIXES, VIDEO_SUFFIXES

_NAMED = 5  # how many offenders an error names


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One clip as its annotation has it.

    Attributes:
        path: where the clip should be.
        label: its class, by name; what the annotation says instead where that is no class.
        split: as in :class:`Sample`.
        subject: as in :class:`Sample`.
        file: what the annotation stands in: a file, or the clip's folder.
        line: and where in it, from 1; 0 where there are no lines.
    """

    path: Path
    label: str
    split: str
    subject: str | None = None
    file: Path
    line: int = 0

    @property
    def where(self) -> str:
        """The annotation's place, for messages."""
        return f"{self.file}, line {self.line}" if self.line else str(self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Everything a dataset's annotations name.

    Attributes:
        name: for reports.
        root: what the clips lie under.
        labels: class names in index order.
        entries: in the annotations' order.
        missing_hint: what to do when clips are not there.
        published: as in :class:`Dataset`.
        notes: what was left out on purpose, in sentences.
    """

    name: str
    root: Path
    labels: tuple[str, ...]
    entries: tuple[Entry, ...]
    missing_hint: str
    published: LabelSet | None = None
    notes: tuple[str, ...] = ()

    def unknown_labels(self) -> Iterator[Entry]:
        """Entries whose label is no class."""
        known = set(self.labels)
        return (entry for entry in self.entries if entry.label not in known)

    def repeats(self) -> Iterator[tuple[Entry, Entry]]:
        """Entries whose clip was listed before, each with the first that lists it."""
        first: dict[Path, Entry] = {}
        for entry in self.entries:
            if first.setdefault(entry.path, entry) is not entry:
                yield entry, first[entry.path]

    def missing(self) -> Iterator[Entry]:
        """Entries whose clip is not there."""
        return (entry for entry in self.entries if not entry.path.exists())

    def relative(self, path: Path) -> str:
        """A clip's path as people know it: relative to the dataset."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def as_dataset(listing: Listing, *, missing_ok: bool = False) -> Dataset:
    """The dataset, if all of the listing can be used.

    Args:
        missing_ok: leave clips that are not there to the loading, which may skip them.

    Raises:
        DataError: a label that is no class, a clip listed twice, clips that are not there, or a file that is
            neither picture nor video; names the first, and where it stands.
    """
    for entry in listing.unknown_labels():
        raise DataError(f"{entry.where}: label {entry.label!r} is not in the set {', '.join(listing.labels)}")
    for entry, first in listing.repeats():
        raise DataError(
            f"{entry.where}: {listing.relative(entry.path)} is listed already on line {first.line}; "
            "a clip may have one label and one split"
        )
    if not missing_ok:
        _require_clips(listing)
    order = {label: index for index, label in enumerate(listing.labels)}
    samples = tuple(
        Sample(path=entry.path, label=order[entry.label], split=entry.split, subject=entry.subject)
        for entry in listing.entries
    )
    return Dataset(
        name=listing.name,
        root=listing.root,
        labels=listing.labels,
        samples=samples,
        published=listing.published,
    )


def _require_clips(listing: Listing) -> None:
    missing = list(listing.missing())
    if missing:
        named = ", ".join(
            f"{listing.relative(entry.path)} (line {entry.line})" if entry.line else str(entry.path)
            for entry in missing[:_NAMED]
        )
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise DataError(
            f"{missing[0].file}: {len(missing)} of {len(listing.entries)} paths do not exist under "
            f"{listing.root}: {named}{more}; {listing.missing_hint}"
        )
    for entry in listing.entries:
        if entry.path.suffix.lower() not in IMAGE_SUFFIXES | VIDEO_SUFFIXES and not entry.path.is_dir():
            raise DataError(
                f"{entry.path} is neither a picture, a video nor a folder of frames; "
                "remove it from the dataset"
            )
