"""Open what ``--data`` names: a file, a folder, a published dataset or the avatars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.data.reading import published
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.label_names import with_names
from s2d_edge.data.reading.listing import Entry, Listing, as_dataset, only_labels, with_validation
from s2d_edge.data.reading.readers import LABELS_FILE, list_csv, list_folders
from s2d_edge.data.reading.tables import is_there

AVATARS = "avatars"


def open_dataset(
    data: str | None,
    console: Console,
    labels: Sequence[str] | None = None,
    *,
    missing_ok: bool = False,
    as_written: bool = False,
) -> Dataset:
    """Open a dataset by what the user typed.

    Args:
        data: a CSV file, a folder with ``labels.csv``, a folder laid out as ``SPLIT/LABEL/*``, a published
            dataset as ``NAME[/FOLD]:ROOT``, or ``avatars`` (also None) for the embedded demo set.
        labels: the model's label order. Class indices follow it. Clips of other labels are left out, with a
            warning that counts them.
        missing_ok: accept missing clips; loading may skip them.
        as_written: as :func:`list_data` takes it.

    Raises:
        DataError: nothing readable there, or no clip with one of ``labels``.
    """
    listing = list_data(AVATARS if data is None else data, console, labels, as_written=as_written)
    say_notes(listing, console)
    if labels is not None:
        listing = with_labels(with_names(listing, labels, console), labels, console)
    dataset = as_dataset(listing, missing_ok=missing_ok)
    return dataset if labels is None else dataset.in_order_of(labels)


def with_labels(listing: Listing, labels: Sequence[str], console: Console) -> Listing:
    """The listing without the clips of labels that a model lacks; warns of these.

    Raises:
        DataError: no clip is left.
    """
    listing = only_labels(listing, labels)
    if listing.left_out:
        console.warn(f"{listing.name}: the model lacks some labels: {left_out_text(listing.left_out)}")
    return listing


def left_out_text(left_out: Mapping[tuple[str, str], int]) -> str:
    """Words for the clips of labels that nobody asked for, all splits together."""
    of_each: Counter[str] = Counter()
    for (_, label), clips in left_out.items():
        of_each[label] += clips
    named = ", ".join(f"{label} ({clips})" for label, clips in of_each.items())
    return f"{of_each.total()} clips of all splits are left out: {named}"


def say_notes(listing: Listing, console: Console) -> None:
    """Print what was left out or renamed on purpose."""
    for note in listing.notes:
        console.say(f"{listing.name}: {note}")


def list_data(
    data: str, console: Console, labels: Sequence[str] | None = None, *, as_written: bool = False
) -> Listing:
    """Read the annotations of a dataset, without looking at the clips.

    Args:
        data: as :func:`open_dataset` takes it.
        labels: the only class names, in order; a published dataset and the avatars have their own.
        as_written: take splits and columns for what they are called exactly, as runs of older versions did.

    Raises:
        DataError: no annotations there, or damaged ones.
    """
    listing = _list(data, console, labels, as_written)
    return listing if as_written else with_validation(listing)


def _list(data: str, console: Console, labels: Sequence[str] | None, as_written: bool) -> Listing:
    if data == AVATARS:
        return _list_avatars(console)
    if not data.strip():  # an empty variable of a script would be this folder, whatever is in it
        raise DataError(f"--data {data!r} is empty; name a dataset, or leave the option out for {AVATARS!r}")
    known = published.parse(data)
    if known is not None:
        return known.listing(console)
    path = Path(data)
    there = is_there(path)
    if there and path.is_dir():
        listed = path / LABELS_FILE
        if listed.is_file():
            return list_csv(listed, labels, as_written=as_written)
        return list_folders(path, labels)
    if there and path.is_file() and path.suffix.lower() == ".csv":
        return list_csv(path, labels, as_written=as_written)
    what = "is not a CSV file" if there else "does not exist"
    raise DataError(
        f"--data {data}: it {what}; give a CSV file (path,label[,subject][,split]), a folder with "
        f"{LABELS_FILE}, a folder laid out as SPLIT/LABEL/*, {published.SPELLING} of a published dataset "
        f"({', '.join(published.NAMES)}), or {AVATARS!r}"
    )


def _list_avatars(console: Console) -> Listing:
    from s2d_edge.data.avatars import default_avatars  # draws with OpenCV: not on the way to --help

    avatars = default_avatars(console)
    return Listing(
        name=avatars.name,
        root=avatars.root,
        labels=avatars.labels,
        entries=tuple(
            Entry(
                path=sample.path,
                label=avatars.labels[sample.label],
                split=sample.split,
                subject=sample.subject,
                file=sample.path,
            )
            for sample in avatars.samples
        ),
        missing_hint="remove that folder, and they are drawn again",
    )


def absolute_data(data: str | None) -> str:
    """``--data`` with absolute paths, so that a run resumed in another folder finds it."""
    if data is None or data == AVATARS:
        return AVATARS
    known = published.parse(data)
    return str(Path(data).resolve()) if known is None else str(replace(known, root=known.root.resolve()))


def require_published(dataset: Dataset) -> None:
    """Check that ``--protocol paper`` applies to a dataset.

    Raises:
        ConfigError: nothing was published on this dataset.
    """
    if dataset.published is None:
        raise ConfigError(
            f"--protocol paper is for the published datasets ({', '.join(published.PAPER_NAMES)}), given as "
            f"--data {published.SPELLING}; {dataset.name!r} is none of them: leave it out"
        )
