"""The clips that a training listed, skipped, carved and used, as ``run.json`` records them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from s2d_edge.core.errors import DataError
from s2d_edge.data.preparing.prepare import PreparedClips
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.data.reading.split_names import TRAIN

_Part = tuple[Sequence[Sample], PreparedClips]  # the clips listed for it, and those prepared


def listing_sha256(dataset: Dataset) -> str:
    """Hash of each clip's path, label, subject, split and votes, in order; the folder around it may move.

    Of several sets it is a hash of each one's hash and of the labels that each knows.
    """
    hashes = [set_sha256(dataset, number) for number in range(len(dataset.sources))]
    if len(hashes) == 1:
        return hashes[0]
    sets = [[sha256, source.labels] for sha256, source in zip(hashes, dataset.sources, strict=True)]
    return hashlib.sha256(json.dumps(sets).encode()).hexdigest()


def set_sha256(dataset: Dataset, number: int) -> str:
    """Hash of the listing of one set: where no label was renamed, the same as of the set alone."""
    digest, root = hashlib.sha256(), dataset.sources[number].root
    for sample in _of((*dataset.samples, *dataset.undecided), number):
        inside = sample.path.is_relative_to(root)
        path = sample.path.relative_to(root) if inside else sample.path
        row: tuple[Any, ...] = path.as_posix(), dataset.labels[sample.label], sample.subject, sample.split
        if sample.votes is not None:  # where a training takes them
            row = (*row, sample.votes)
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def account_of(dataset: Dataset, train: _Part, validation: _Part) -> dict[str, Any]:
    """Count the clips of a training, all together and those of each of several sets."""
    account = {
        "name": dataset.name,
        "listing_sha256": listing_sha256(dataset),
        "listed": dataset.splits,
        "carved": _carved(validation[0]),
        "undecided": len(set(dataset.undecided) & set(train[0])),
        "train": _used(dataset, *train) | _loaded(train[1]),
        "validation": _used(dataset, *validation) | _loaded(validation[1]),
    }
    if len(dataset.sources) == 1:
        return account
    return account | {"sets": [_set(dataset, k, train, validation) for k in range(len(dataset.sources))]}


def _set(dataset: Dataset, number: int, train: _Part, validation: _Part) -> dict[str, Any]:
    training, validating = _of(train[0], number), _of(validation[0], number)
    return {
        "name": dataset.sources[number].name,
        "listing_sha256": set_sha256(dataset, number),
        "labels": list(dataset.sources[number].labels),
        "listed": dict(Counter(sample.split for sample in _of(dataset.samples, number))),
        "carved": _carved(validating),
        "undecided": len(set(_of(dataset.undecided, number)) & set(training)),
        "train": _used(dataset, training, train[1], number),
        "validation": _used(dataset, validating, validation[1], number),
    }


def _of(samples: Sequence[Sample], number: int) -> list[Sample]:
    """The samples of one set."""
    return [sample for sample in samples if sample.source == number]


def _carved(validation: Sequence[Sample]) -> int:
    """Number of validation clips that the listing has as training clips."""
    return sum(sample.split == TRAIN for sample in validation)


def _used(
    dataset: Dataset, listed: Sequence[Sample], prepared: PreparedClips, number: int | None = None
) -> dict[str, Any]:
    """Count the clips of all sets, or those of one."""
    counts = Counter(
        prepared.labels.tolist() if number is None else prepared.labels[prepared.sources == number].tolist()
    )
    return {
        "listed": len(listed),
        "skipped": len(listed) - counts.total(),
        "used": counts.total(),
        "of_each_label": {label: counts[k] for k, label in enumerate(dataset.labels)},
    }


def _loaded(prepared: PreparedClips) -> dict[str, Any]:
    return {
        "frames_without_a_face": prepared.faces_missed,
        "slower_than_fps": len(prepared.slow),
        "slowest_fps": min(prepared.slow.values(), default=None),
    }


def require_same_listing(dataset: Dataset, made_from: Mapping[str, Any]) -> None:
    """Check that a resumed training finds the listing it began with. Older runs did not record theirs.

    Raises:
        DataError: a path, label, subject, split or vote of a set changed, or a label that it knows.
    """
    began = made_from.get("data")
    if not began or began["listing_sha256"] == listing_sha256(dataset):
        return
    before, now, name = began["listed"], dataset.splits, dataset.name
    for number, one in enumerate(began.get("sets", ())[: len(dataset.sources)]):
        if one["listing_sha256"] != set_sha256(dataset, number):
            now = Counter(sample.split for sample in _of(dataset.samples, number))
            before = one["listed"]
            name = dataset.sources[number].name
            break
    counts = [f"{split} {before.get(split, 0)}, now {now.get(split, 0)}" for split in sorted({*before, *now})]
    raise DataError(
        f"dataset {name!r} is no longer what this training began with: a path, label, subject, "
        f"split or vote differs (clips then: {'; '.join(counts)}). Restore the listing to resume, "
        "or start a new training with --init"
    )
