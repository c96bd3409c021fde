"""Find what a training refuses of a listing, and what it warns of, before a clip is read.

``train`` and ``data check`` both ask here, so that what one refuses the other reports.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.check.render import sentences
from s2d_edge.data.check.report import Finding
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.data.reading.joined import join, list_sets
from s2d_edge.data.reading.listing import Listing, as_dataset, only_labels
from s2d_edge.data.reading.open import left_out_text
from s2d_edge.data.reading.spelling import bare, spelled_apart
from s2d_edge.data.reading.split_names import TRAIN, VAL, misspelled, rival_validations
from s2d_edge.data.reading.splits import carve_validation, unvalidated

FEW_CLIPS = 30  # one of fewer validation clips is more than 3 points of accuracy


def open_training_data(
    data: Sequence[str],
    console: Console,
    *,
    labels: Sequence[str] | None = None,
    missing_ok: bool = False,
    needs_validation: bool = True,
) -> Dataset:
    """Open the sets to train on, each of which must be fit for that by itself, and join them.

    Args:
        data: each as :func:`s2d_edge.data.reading.open.open_dataset` takes it.
        labels: those to train, in order; clips of others are left out, and counted. None takes all.
        needs_validation: False where another split than ``val`` chooses the best epoch.

    Raises:
        DataError: what ``open_dataset`` and ``join`` raise, or the first of :func:`training_findings` that is
            a fault.
    """
    listings = list_sets(data, console, labels)
    if labels is not None:
        listings = _chosen(listings, labels, console)
    trainable = [
        _trainable(listing, console, missing_ok=missing_ok, needs_validation=needs_validation)
        for listing in listings
    ]
    return join(trainable, labels)


def _trainable(listing: Listing, console: Console, *, missing_ok: bool, needs_validation: bool) -> Dataset:
    found = list(training_findings(listing, needs_validation=needs_validation))
    faults = [finding.sentence for finding in found if finding.trouble]
    for _, sentence in sentences([*shared_subjects(listing), *(one for one in found if not one.trouble)]):
        console.warn(f"{listing.name}: {sentence}")
    dataset = as_dataset(listing, missing_ok=missing_ok)
    if faults:
        more = f" (and {len(faults) - 1} more, which 's2d-edge data check' lists)" if faults[1:] else ""
        raise DataError(f"dataset {listing.name!r} cannot be trained on: {faults[0]}{more}")
    return dataset


def _chosen(listings: Sequence[Listing], labels: Sequence[str], console: Console) -> list[Listing]:
    """The listings with the clips of ``labels`` alone."""
    used = sorted({entry.label for listing in listings for entry in listing.entries})
    if missing := [label for label in labels if label not in used]:
        names = " or ".join(repr(listing.name) for listing in listings)
        raise DataError(
            f"--labels names {missing[0]!r}, which no clip of {names} has; choose among {', '.join(used)}"
        )
    chosen = [only_labels(listing, labels) for listing in listings]
    for listing in chosen:
        if listing.left_out:
            console.say(f"{listing.name}: {left_out_text(listing.left_out)}, which --labels does not name")
    return chosen


def shared_subjects(listing: Listing) -> Iterator[Finding]:
    """Yield the people who are in several splits: scores on these flatter a model."""
    splits: dict[str, Counter[str]] = defaultdict(Counter)
    names: dict[str, set[str]] = defaultdict(set)
    for entry in listing.entries:
        if entry.subject is not None:
            subject = bare(entry.subject)
            splits[subject][entry.split] += 1
            names[subject].add(entry.subject)
    for subject, seen in splits.items():
        if len(seen) > 1:
            places = ", ".join(f"{count} clips in {split!r}" for split, count in sorted(seen.items()))
            who = " or ".join(sorted(names[subject]))
            yield Finding(kind="subject in several splits", what=who, detail=places)


def training_findings(listing: Listing, *, needs_validation: bool = True) -> Iterator[Finding]:
    """Yield what stops a training on the listing, and what it should be warned of."""
    yield from _spellings(listing)
    clips = Counter(entry.split for entry in listing.entries)
    if not clips[TRAIN]:
        have = ", ".join(f"{split!r} ({count})" for split, count in sorted(clips.items()))
        yield Finding(kind="no training split", what=TRAIN, detail=f"no clip is in it; there are {have}")
        return
    yield from _classes(listing)
    if not needs_validation:
        return
    if rivals := rival_validations(clips):
        yield Finding(
            kind="no validation clips",
            what=" and ".join(map(repr, rivals)),
            detail=f"each could be the validation split; rename one to {VAL!r}",
        )
    else:
        yield from _validation(listing)


def _spellings(listing: Listing) -> Iterator[Finding]:
    """Names that are one but for case, blanks or Unicode form."""
    labels = Counter(entry.label for entry in listing.entries)
    for group in () if listing.labels_given else spelled_apart(listing.labels):
        yield Finding(
            kind="label spelled in several ways",
            what=" and ".join(f"{name!r} ({labels[name]})" for name in group),
            detail="would be different classes; write one of them everywhere",
        )
    splits = Counter(entry.split for entry in listing.entries)
    for name, wanted in misspelled(splits).items():
        yield Finding(
            kind="split spelled in several ways",
            what=f"{name!r} ({splits[name]})",
            detail=f"reads like {wanted!r} and is another split; write {wanted!r}",
        )
    for group in spelled_apart({entry.subject for entry in listing.entries if entry.subject}):
        yield Finding(
            kind="subject spelled in several ways",
            what=" and ".join(map(repr, group)),
            detail="taken for one person where validation clips are chosen; write one of them everywhere",
        )


def _classes(listing: Listing) -> Iterator[Finding]:
    trained = {entry.label for entry in listing.entries if entry.split == TRAIN}
    used = {entry.label for entry in listing.entries}
    if len(trained) < 2:
        yield Finding(
            kind="one class",
            what=next(iter(trained)),
            detail="is the only label of the training clips; give clips of two classes at least",
        )
    for entry in listing.entries:
        if entry.label in listing.labels and entry.label not in trained:
            yield Finding(
                kind="unknown label",
                what=listing.relative(entry.path),
                detail=f"{entry.label!r} ({entry.where}) is in {entry.split!r} and never in {TRAIN!r}",
            )
    for label in listing.labels:
        if label not in used:
            yield Finding(
                kind="class without clips" if listing.labels_given else "class without training clips",
                what=label,
                detail="is in the set, and no clip has it; add some for training, or drop the label",
            )


def _validation(listing: Listing) -> Iterator[Finding]:
    """Classes that no validation clip shows, given or to be carved, and a split of few clips."""
    number = {label: k for k, label in enumerate(sorted({entry.label for entry in listing.entries}))}
    samples = [
        Sample(path=entry.path, label=number[entry.label], split=entry.split, subject=entry.subject)
        for entry in listing.entries
    ]
    train = [sample for sample in samples if sample.split == TRAIN]
    val = [sample for sample in samples if sample.split == VAL]
    if val:
        lacking = sorted({sample.label for sample in train} - {sample.label for sample in val})
        names = list(number)
        for label in lacking:
            yield Finding(
                kind="class without validation clips",
                what=names[label],
                detail=f"no clip of {VAL!r} shows it; the best epoch is chosen without it",
            )
        if len(val) < FEW_CLIPS:
            yield Finding(
                kind="few validation clips",
                what=VAL,
                detail=f"{len(val)} clips, of which one is {100 / len(val):.1f} points of accuracy",
            )
        return
    try:
        # Which classes can be shown depends neither on the fraction nor on the seed.
        kept, carved = carve_validation(train, fraction=0.1, seed=0)
    except DataError as error:
        yield Finding(kind="no validation clips", what=TRAIN, detail=str(error))
        return
    if lacking_sentence := unvalidated(kept, carved, list(number)):
        yield Finding(kind="class without validation clips", what=TRAIN, detail=lacking_sentence)
