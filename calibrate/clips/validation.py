"""Choose the validation clips, on which the gate decides."""

from __future__ import annotations

from dataclasses import dataclass, replace

from s2d_edge.core.console import Console
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.data.reading.splits import carve_validation, unvalidated

USUAL_SPLIT = "val"
_CARVED = 0.25  # of the calibration split


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationClips:
    """Clips on which the gate decides.

    Attributes:
        split: their split.
        carved_from: the split they were taken out of, where the data has none for them.
    """

    samples: tuple[Sample, ...]
    split: str
    carved_from: str | None


def choose_validation(
    dataset: Dataset, requested: str | None, split: str, seed: int, console: Console
) -> tuple[Dataset, ValidationClips]:
    """Choose the validation clips; return them with the dataset left to calibrate and to evaluate on.

    Args:
        requested: their split; None is ``val``, or where there is none a quarter of ``split``, whole people.
        split: calibration clips come from it.
        seed: of the choice of people.

    Raises:
        DataError: no such split, or too few people to take some away from.
    """
    name = requested or USUAL_SPLIT
    if requested is not None or dataset.split(name):
        samples = dataset.require_split(name)
        return dataset, ValidationClips(samples=samples, split=name, carved_from=None)
    kept, carved = carve_validation(dataset.split(split), fraction=_CARVED, seed=seed, spare_classes=False)
    taken = {sample.path for sample in carved}
    whose = "of people kept out of calibration" if any(one.subject for one in carved) else "one by one"
    console.warn(
        f"dataset {dataset.name!r} has no split {name!r}: {len(carved)} of the {len(kept) + len(carved)} "
        f"clips of {split!r}, {whose}, decide which recipe passes the gate"
    )
    if lacking := unvalidated(kept, carved, dataset.labels):
        console.warn(f"dataset {dataset.name!r}: {lacking}")
    left = tuple(sample for sample in dataset.samples if sample.path not in taken)
    return replace(dataset, samples=left), ValidationClips(samples=carved, split=name, carved_from=split)
