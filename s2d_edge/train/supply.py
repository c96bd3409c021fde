"""The clips both stages of a training share: prepared once; and their landmark maps where these are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.preparing.prepare import PreparedClips, prepare
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.data.reading.splits import carve_validation
from s2d_edge.media.sampling import FolderWindows
from s2d_edge.model.s2d import S2D
from s2d_edge.train.feed import Feed
from s2d_edge.train.landmark_maps import LIMIT_BYTES, LandmarkMaps, compute_maps, maps_bytes
from s2d_edge.train.plan import Plan, Stage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supply:
    """Training and validation clips, prepared."""

    train: PreparedClips
    val: PreparedClips

    def feeds(self, stage: Stage, maps: Maps) -> tuple[Feed, Feed]:
        """What a stage trains on, and what it is validated on."""
        single = stage == "image"
        return (
            Feed(clips=self.train, single_frames=single, maps=maps.train),
            Feed(clips=self.val, single_frames=single, maps=maps.val),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Maps:
    """Landmark maps of the frames of a supply, where they are kept."""

    train: LandmarkMaps | None = None
    val: LandmarkMaps | None = None


def open_supply(plan: Plan, dataset: Dataset, crop: CropRecipe, console: Console) -> Supply:
    """Prepare the ``train`` and ``val`` splits; without a ``val`` split, carve one from ``train`` by subject.

    Under the papers' protocol, ``test`` takes the place of ``val``, and pictures are taken as they are.

    Raises:
        DataError: no training split, or too few subjects to carve a validation split from.
        MediaError: a clip that cannot be read.
    """
    paper = plan.protocol == "paper"
    training, validation = dataset.require_split("train"), dataset.split("val")
    if paper:
        validation = dataset.require_split("test")
        console.warn(
            "--protocol paper: the best epoch is chosen on 'test', as in the published results; "
            "its score there flatters the model"
        )
    elif not validation:
        settings = plan.settings
        training, validation = carve_validation(training, fraction=settings.val_fraction, seed=settings.seed)
        known = any(sample.subject for sample in validation)
        whose = "of subjects kept out of training" if known else "though it does not say who is seen"
        console.warn(
            f"dataset {dataset.name!r} has no 'val' split: {len(validation)} of its training clips, "
            f"{whose}, choose the best epoch"
        )
    absent = set(range(len(dataset.labels))) - {sample.label for sample in training}
    if absent:
        names = ", ".join(dataset.labels[k] for k in sorted(absent))
        raise DataError(
            f"dataset {dataset.name!r} has no training clip of {names}; add some, or drop the label"
        )
    spec = ClipSpec(frames=plan.frames, fps=plan.fps, size=crop.size)

    def prepared(samples: Sequence[Sample], title: str, paper_windows: FolderWindows) -> PreparedClips:
        return prepare(
            samples,
            spec,
            None if paper else crop,
            console,
            title=title,
            workers=plan.settings.workers,
            windows=paper_windows if paper else "spread",
            skip_unreadable=plan.skip_unreadable,
        )

    train = prepared(training, "training clips", "every")
    val = prepared(validation, "validation clips", "ends")
    console.say(f"{len(train)} training and {len(val)} validation clips from {dataset.name!r}")
    return Supply(train=train, val=val)


def keep_maps(supply: Supply, model: S2D, device: torch.device, console: Console) -> Maps:
    """The landmark maps of all frames, if they fit into memory.

    Args:
        model: on ``device``, with the landmark network it will keep.
    """
    train, val = supply.train, supply.val
    needed = maps_bytes(model, 2 * len(train.frames) + len(val.frames))
    if needed > LIMIT_BYTES:
        console.warn(
            f"landmark maps would take {needed / 2**30:.1f} GiB, more than {LIMIT_BYTES >> 30} GiB: they are "
            "computed at every step instead (cache_landmarks=false)"
        )
        return Maps()
    return Maps(
        train=compute_maps(model, train.frames, device, console, title="training clips"),
        val=compute_maps(model, val.frames, device, console, title="validation clips", mirrored=False),
    )
