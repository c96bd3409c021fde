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


def listing_sha256(dataset: Dataset) -> str:
    """Hash of each clip's path, label, subject, split and votes, in order; the folder around it may move."""
    digest = hashlib.sha256()
    for sample in (*dataset.samples, *dataset.undecided):
        inside = sample.path.is_relative_to(dataset.root)
        path = sample.path.relative_to(dataset.root) if inside else sample.path
        row: tuple[Any, ...] = path.as_posix(), dataset.labels[sample.label], sample.subject, sample.split
        if sample.votes is not None:  # where a training takes them
            row = (*row, sample.votes)
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def account_of(
    dataset: Dataset,
    train: tuple[Sequence[Sample], PreparedClips],
    validation: tuple[Sequence[Sample], PreparedClips],
    *,
    carved: bool,
) -> dict[str, Any]:
    """Count the clips of a training.

    Args:
        train, validation: the clips listed for it, and those prepared.
        carved: the validation clips were carved from the training split.
    """
    return {
        "name": dataset.name,
        "listing_sha256": listing_sha256(dataset),
        "listed": dataset.splits,
        "carved": len(validation[0]) if carved else 0,
        "undecided": len(set(dataset.undecided) & set(train[0])),
        "train": _part(dataset, *train),
        "validation": _part(dataset, *validation),
    }


def _part(dataset: Dataset, listed: Sequence[Sample], prepared: PreparedClips) -> dict[str, Any]:
    counts = Counter(prepared.labels.tolist())
    return {
        "listed": len(listed),
        "skipped": len(listed) - len(prepared),
        "used": len(prepared),
        "of_each_label": {label: counts[k] for k, label in enumerate(dataset.labels)},
        "frames_without_a_face": prepared.faces_missed,
        "slower_than_fps": len(prepared.slow),
        "slowest_fps": min(prepared.slow.values(), default=None),
    }


def require_same_listing(dataset: Dataset, made_from: Mapping[str, Any]) -> None:
    """Check that a resumed training finds the listing it began with. Older runs did not record theirs.

    Raises:
        DataError: a path, label, subject or split changed.
    """
    began = made_from.get("data")
    if not began or began["listing_sha256"] == listing_sha256(dataset):
        return
    before, now = began["listed"], dataset.splits
    counts = [f"{split} {before.get(split, 0)}, now {now.get(split, 0)}" for split in sorted({*before, *now})]
    raise DataError(
        f"dataset {dataset.name!r} is no longer what this training began with: a path, label, subject or "
        f"split differs (clips then: {'; '.join(counts)}). Restore the listing to resume, or start a new "
        "training with --init"
    )
