"""A dataset's annotations as they are written, usable or not.

Training and evaluation want a :class:`Dataset`, where every label is known and every clip is there; ``data
check`` reports every label and clip that is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from s2d_edge.contracts.labels import LabelSet
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import Dataset, Sample, vote_shares
from s2d_edge.data.reading.identity import Places
from s2d_edge.data.reading.spelling import bare, in_one_line
from s2d_edge.data.reading.split_names import VAL, validation_alias
from s2d_edge.data.reading.tables import is_there
from s2d_edge.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, file_kind
from s2d_edge.media.pictures import leads_nowhere

_NAMED = 5  # how many offenders an error names


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One clip as its annotation describes it.

    Attributes:
        path: where the clip should be.
        label: the name of its class, or the annotation's text where it names no class.
        split: as in :class:`Sample`.
        subject: as in :class:`Sample`.
        file: the annotation's file, or the clip's folder.
        line: the annotation's line in it, from 1; 0 where there are no lines.
        votes: number of people who named each class, in the listing's label order; None where only a label is
            known.
    """

    path: Path
    label: str
    split: str
    subject: str | None = None
    file: Path
    line: int = 0
    votes: tuple[int, ...] | None = None

    @property
    def where(self) -> str:
        """File and line of the annotation, for messages."""
        return f"{self.file}, line {self.line}" if self.line else str(self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All entries of a dataset's annotations.

    Attributes:
        name: for reports.
        root: the folder that holds the clips.
        labels: class names in index order.
        entries: in the annotations' order.
        missing_hint: advice for the user when clips are missing.
        published: as in :class:`Dataset`.
        notes: sentences about what was left out or renamed on purpose.
        val_written: as in :class:`Dataset`.
        labels_given: ``labels`` are those somebody asked for, and not what the annotations name.
        undecided: as in :class:`Dataset`.
        left_out: as in :class:`Dataset`.
    """

    name: str
    root: Path
    labels: tuple[str, ...]
    entries: tuple[Entry, ...]
    missing_hint: str
    published: LabelSet | None = None
    notes: tuple[str, ...] = ()
    labels_given: bool = False
    val_written: str = VAL
    undecided: tuple[Entry, ...] = ()
    left_out: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def unknown_labels(self) -> Iterator[Entry]:
        """Entries whose label is not a class of the set."""
        known = set(self.labels)
        return (entry for entry in self.entries if entry.label not in known)

    def repeats(self) -> Iterator[tuple[Entry, Entry]]:
        """Entries whose clip was listed before, each with the first that lists it.

        A clip is one file under whatever path. A link beside its target repeats it only where label or split
        differ.
        """
        places, first = Places(), dict[Path, Entry]()
        for entry in (*self.entries, *self.undecided):
            file = places.file(entry.path)
            before = first.setdefault(file, entry)
            if before is entry:
                continue
            same_place = places.place(entry.path) == places.place(before.path)
            if same_place or (entry.label, entry.split) != (before.label, before.split):
                yield entry, before

    def missing(self) -> Iterator[Entry]:
        """Entries whose clip does not exist."""
        return (entry for entry in self.entries if not is_there(entry.path))

    def relative(self, path: Path) -> str:
        """A clip's path relative to the dataset, for messages; the whole path where it lies elsewhere."""
        inside = path.is_relative_to(self.root)
        return in_one_line(path.relative_to(self.root).as_posix() if inside else str(path))


def with_validation(listing: Listing) -> Listing:
    """The listing with its validation split named ``val``, where another name means that; notes say so."""
    alias = validation_alias(entry.split for entry in listing.entries)
    if alias is None:
        return listing
    entries, undecided = (
        tuple(replace(entry, split=VAL) if entry.split == alias else entry for entry in given)
        for given in (listing.entries, listing.undecided)
    )
    clips = sum(entry.split == alias for entry in listing.entries)
    note = f"split {alias!r} ({clips} clips) is taken as {VAL!r}"
    return replace(
        listing, entries=entries, undecided=undecided, notes=(*listing.notes, note), val_written=alias
    )


def only_labels(listing: Listing, labels: Sequence[str]) -> Listing:
    """The listing without the clips of labels that are not among ``labels``; ``left_out`` counts them.

    A label that differs in case or blanks alone stays: it is misspelled. Votes for other classes are dropped.

    Raises:
        DataError: no clip is left.
    """
    spelled = {bare(label) for label in labels}

    def is_kept(entry: Entry) -> bool:
        return bare(entry.label) in spelled

    kept = [is_kept(entry) for entry in listing.entries]
    if not any(kept):
        used = ", ".join(sorted({entry.label for entry in listing.entries}))
        raise DataError(
            f"dataset {listing.name!r} has no clip of {', '.join(labels)}, but of {used}; give data with the "
            "wanted labels, or name others"
        )
    places = [k for k, label in enumerate(listing.labels) if bare(label) in spelled]

    def narrowed(entry: Entry) -> Entry:
        return replace(entry, votes=entry.votes and tuple(entry.votes[k] for k in places))

    out = Counter(
        (entry.split, entry.label) for entry, keep in zip(listing.entries, kept, strict=True) if not keep
    )
    return replace(
        listing,
        labels=tuple(listing.labels[k] for k in places),
        entries=tuple(narrowed(entry) for entry, keep in zip(listing.entries, kept, strict=True) if keep),
        undecided=tuple(narrowed(entry) for entry in listing.undecided if is_kept(entry)),
        left_out=out,
    )


def as_dataset(listing: Listing, *, missing_ok: bool = False) -> Dataset:
    """Turn a listing into a dataset, if all of it can be used.

    Args:
        missing_ok: accept missing clips; loading may skip them.

    Raises:
        DataError: a label that is no class, a clip listed twice, missing clips, or a file that is neither
            picture nor video. The message names the first, its file and line.
    """
    for entry in listing.unknown_labels():
        near = next((label for label in listing.labels if bare(label) == bare(entry.label)), None)
        advice = "correct the label, or the set" if near is None else f"spell it {near!r}, as the set does"
        raise DataError(
            f"{entry.where}: label {entry.label!r} is not in the set {', '.join(listing.labels)}; {advice}"
        )
    for entry, first in listing.repeats():
        raise DataError(
            f"{entry.where}: {listing.relative(entry.path)} is listed already{_as(listing, entry, first)}; "
            "a clip has one label and one split: remove one of the two"
        )
    if not missing_ok:
        _require_clips(listing)
    order = {label: index for index, label in enumerate(listing.labels)}
    samples, undecided = (
        tuple(
            Sample(
                path=entry.path,
                label=order[entry.label],
                split=entry.split,
                subject=entry.subject,
                votes=entry.votes and vote_shares(entry.votes),
            )
            for entry in given
        )
        for given in (listing.entries, listing.undecided)
    )
    return Dataset(
        name=listing.name,
        root=listing.root,
        labels=listing.labels,
        samples=samples,
        published=listing.published,
        val_written=listing.val_written,
        undecided=undecided,
        left_out=listing.left_out,
    )


def _as(listing: Listing, entry: Entry, first: Entry) -> str:
    """Where, and as what, a clip was listed before."""
    spelled = "" if first.path == entry.path else f" as {listing.relative(first.path)}"
    return spelled + (f" on line {first.line}" if first.line else "")


def _require_clips(listing: Listing) -> None:
    missing = list(listing.missing())
    if missing:
        named = ", ".join(
            f"{listing.relative(entry.path)} (line {entry.line})" if entry.line else str(entry.path)
            for entry in missing[:_NAMED]
        )
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        links = (leads_nowhere(entry.path) for entry in missing)
        raise DataError(
            f"{missing[0].file}: {len(missing)} of {len(listing.entries)} paths do not exist under "
            f"{listing.root}: {named}{more}; {next(filter(None, links), listing.missing_hint)}"
        )
    for entry in listing.entries:
        suffix = entry.path.suffix.lower()
        known = suffix in IMAGE_SUFFIXES or suffix in VIDEO_SUFFIXES or entry.path.is_dir()
        if not known and file_kind(entry.path) is None:
            raise DataError(
                f"{entry.path} is neither a picture, a video nor a folder of frames; "
                "remove it from the dataset"
            )
