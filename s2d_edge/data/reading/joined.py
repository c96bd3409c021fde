"""Several sets as one dataset: labels joined by name, clips and people kept apart by set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.dataset import Dataset, Sample, Source
from s2d_edge.data.reading.identity import Places
from s2d_edge.data.reading.label_names import with_names
from s2d_edge.data.reading.listing import Listing, as_dataset
from s2d_edge.data.reading.open import AVATARS, list_data, say_notes, with_labels
from s2d_edge.data.reading.spelling import in_one_line, spelled_apart
from s2d_edge.data.reading.split_names import VAL

_LONGEST = 100  # bytes of a joined set's name


def open_sets(
    data: Sequence[str], console: Console, labels: Sequence[str] | None = None, *, missing_ok: bool = False
) -> Dataset:
    """Open what each ``--data`` names, and join it.

    Args:
        data: each as :func:`s2d_edge.data.reading.open.open_dataset` takes it; none is the avatars.
        labels: the model's label order. Class indices follow it; clips of other labels are left out, with a
            warning that counts them.
        missing_ok: accept missing clips; loading may skip them.

    Raises:
        DataError: what ``open_dataset``, :func:`list_sets` and :func:`join` raise.
    """
    listings = list_sets(data or (AVATARS,), console, labels)
    if labels is not None:
        listings = [with_labels(listing, labels, console) for listing in listings]
    return join([as_dataset(listing, missing_ok=missing_ok) for listing in listings], labels)


def list_sets(data: Sequence[str], console: Console, labels: Sequence[str] | None = None) -> list[Listing]:
    """Read the annotations of each set, with one name for labels that are one, and another for each set.

    Args:
        labels: names that labels are to have where they are the same expression; then come those of the sets
            before.

    Raises:
        DataError: no annotations there, or damaged ones; two labels of a set that would be one; or labels of
            two sets that differ in case, blanks or Unicode form alone.
    """
    known = list(labels or ())
    listings: list[Listing] = []
    for each in data:
        listing = list_data(each, console)
        listing = replace(listing, name=unique_name(listing.name, [other.name for other in listings]))
        say_notes(listing, console)
        listings.append(with_names(listing, known, console))
        known += [label for label in listings[-1].labels if label not in known]
    for group in spelled_apart(known) if len(data) > 1 else ():
        raise DataError(
            f"labels of the sets {', '.join(listing.name for listing in listings)} differ in spelling alone: "
            f"{' and '.join(map(repr, group))}; write one of them everywhere"
        )
    return listings


def join(datasets: Sequence[Dataset], labels: Sequence[str] | None = None) -> Dataset:
    """Join sets by the names of their labels; splits are kept.

    Args:
        datasets: each with another name.
        labels: in index order; by default the first set's, in its order, then those that each further set
            adds, in its order.

    Raises:
        DataError: a file is in two sets, or a sample has none of ``labels``.
    """
    _require_distinct(datasets)
    order = tuple(labels or dict.fromkeys(label for dataset in datasets for label in dataset.labels))
    placed = [dataset.in_order_of(order) for dataset in datasets]
    left_out: Counter[tuple[str, str]] = Counter()
    for dataset in datasets:
        left_out.update(dataset.left_out)
    written = {dataset.val_written for dataset in datasets}
    return Dataset(
        name=_name([dataset.name for dataset in datasets]),
        root=datasets[0].root,
        labels=order,
        samples=_of_sources([dataset.samples for dataset in placed]),
        published=datasets[0].published if len(datasets) == 1 else None,
        val_written=written.pop() if len(written) == 1 else VAL,
        undecided=_of_sources([dataset.undecided for dataset in placed]),
        left_out=left_out,
        joined=tuple(
            Source(name=each.name, root=each.root, labels=each.labels, published=each.published)
            for each in datasets
        ),
    )


def require_splits(dataset: Dataset, split: str) -> tuple[Sample, ...]:
    """The samples of one split, which every set must have.

    Raises:
        DataError: a set lacks it; the message names its splits.
    """
    samples = dataset.require_split(split)
    there = {sample.source for sample in samples}
    for number, source in enumerate(dataset.sources):
        if number not in there:
            splits = Counter(sample.split for sample in dataset.samples if sample.source == number)
            have = ", ".join(f"{name} ({clips})" for name, clips in sorted(splits.items()))
            raise DataError(
                f"dataset {source.name!r} has no split {split!r}; there are {have}: choose a split that all "
                "sets have, or leave this set out"
            )
    return samples


def _of_sources(samples: Sequence[Sequence[Sample]]) -> tuple[Sample, ...]:
    """All samples, each marked with the number of its set."""
    return tuple(
        replace(sample, source=number) if number else sample
        for number, mine in enumerate(samples)
        for sample in mine
    )


def _name(sets: Sequence[str]) -> str:
    """The names of all sets; of many, the first one's and how many more, since run folders are called so."""
    name = "+".join(sets)
    return name if len(sets) == 1 or len(name.encode()) <= _LONGEST else f"{sets[0]}+{len(sets) - 1}"


def unique_name(name: str, others: Sequence[str]) -> str:
    """The name, with a number from 2 on where another set has it."""
    numbered = (f"{name}-{number}" for number in count(2))
    return name if name not in others else next(each for each in numbered if each not in others)


def _require_distinct(datasets: Sequence[Dataset]) -> None:
    """Check that no file is in two sets: it could be in training and in validation at once."""
    places, first = Places(), dict[Path, Dataset]()
    for dataset in datasets if len(datasets) > 1 else ():
        for sample in (*dataset.samples, *dataset.undecided):
            other = first.setdefault(places.file(sample.path), dataset)
            if other is not dataset:
                raise DataError(
                    f"{in_one_line(str(sample.path))} is in the sets {other.name!r} and {dataset.name!r}; a "
                    "clip may be in one of them only: leave it out of the other"
                )
