"""The training and the validation samples of each set."""

from __future__ import annotations

from collections.abc import Sequence

from s2d_edge.core.console import Console
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.data.reading.split_names import TRAIN
from s2d_edge.data.reading.splits import carve_validation, person
from s2d_edge.train.plan.plan import Plan

Samples = tuple[Sample, ...]


def with_carved(
    plan: Plan, dataset: Dataset, train: Samples, val: Samples, console: Console
) -> tuple[Samples, Samples]:
    """Training and validation samples, where each set without validation samples had some carved."""
    settings = plan.settings
    kept, chosen = list[Sample](), list[Sample]()
    for number, source in enumerate(dataset.sources):
        training = [sample for sample in train if sample.source == number]
        validation: Sequence[Sample] = [sample for sample in val if sample.source == number]
        if not validation:
            left, validation = carve_validation(
                training, fraction=settings.val_fraction, seed=settings.seed, carving=plan.carving
            )
            training = list(left)
            known = any(sample.subject for sample in validation)
            whose = "of subjects kept out of training" if known else "of unknown subjects"
            one = 100 / len(validation)
            worth = f"; one of them is {one:.1f} points of accuracy" if len(dataset.labels) > 1 else ""
            console.warn(
                f"dataset {source.name!r} has no 'val' split: {len(validation)} of its training clips, "
                f"{whose}, choose the best epoch{worth}"
            )
        kept += training
        chosen += validation
    return tuple(kept), tuple(chosen)


def undecided(dataset: Dataset, validation: Sequence[Sample]) -> Samples:
    """The undecided training clips, but for those of people kept for validation."""
    held_out = {person(sample) for sample in validation} - {None}
    return tuple(
        sample for sample in dataset.undecided if sample.split == TRAIN and person(sample) not in held_out
    )
