"""The clips that all stages of a training share, prepared once, with landmark maps where these are cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.contracts.runs import RunInfo
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.preparing.prepare import PreparedClips, prepare
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.data.reading.joined import require_splits
from s2d_edge.media.sampling import FolderWindows
from s2d_edge.model.s2d import S2D
from s2d_edge.train.context import Context
from s2d_edge.train.plan.plan import Plan
from s2d_edge.train.plan.settings import StageSettings
from s2d_edge.train.supply.account import account_of
from s2d_edge.train.supply.feed import Feed
from s2d_edge.train.supply.landmark_maps import LIMIT_BYTES, LandmarkMaps, compute_maps, maps_bytes
from s2d_edge.train.supply.sets import joined_sets
from s2d_edge.train.supply.splitting import undecided, with_carved
from s2d_edge.train.supply.target import Target, hard_target

_Maps = tuple[LandmarkMaps | None, LandmarkMaps | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SuppliedClips:
    """The clips of a training, and the account of where they came from.

    Attributes:
        train, val: the prepared clips.
        training: the clips that ``train`` was prepared from.
        crop: their face crop.
    """

    train: PreparedClips
    val: PreparedClips
    training: Sequence[Sample]
    crop: CropRecipe
    account: dict[str, Any]


class Supply:
    """Training and validation clips of one command; the first stage that needs them has them prepared.

    Attributes:
        dataset: class indices follow the model's label order.
        sets: those it consists of, with their weights.
    """

    def __init__(self, plan: Plan, dataset: Dataset, context: Context) -> None:
        self.dataset = dataset
        self.sets = joined_sets(dataset, plan.settings.set_weights)
        self._plan = plan
        self._context = context
        self._clips: SuppliedClips | None = None
        self._maps: _Maps | None = None  # of the landmark network as it is

    def feeds(self, info: RunInfo, model: S2D, settings: StageSettings) -> tuple[Feed, Feed]:
        """Training and validation batches of one stage.

        Args:
            info: the stage's run.
            model: its model, on this process's device.
            settings: of the stage.

        Raises:
            DataError: no training split, or too few subjects to carve a validation split from.
            MediaError: a clip that cannot be read.
        """
        processes, clips = self._context.processes, self.clips(info.crop)
        train, val = clips.train, clips.val
        if settings.landmark_lr:
            self._maps = None  # those of the stage before belong to the network before this training
        elif self._plan.settings.cache_landmarks and self._maps is None:
            self._maps = processes.one_per_machine_first(
                lambda: _compute_all_maps(model, train, val, self._context)
            )
        train_maps, val_maps = self._maps or (None, None)
        single = info.stage == "image"
        target = self._target(train)
        if settings.targets == "votes":
            target = target if train.votes is None else target.with_votes(train.votes)
            _say_votes(target, info.stage, settings.label_smoothing, self._context.console)
        return (
            Feed(clips=train, target=target, single_frames=single, maps=train_maps),
            Feed(clips=val, target=self._target(val), single_frames=single, maps=val_maps),
        )

    def _target(self, clips: PreparedClips) -> Target:
        """The label of each clip, among those that its set knows."""
        return hard_target(clips.labels, self.dataset.known[clips.sources])

    def feed(self, clips: PreparedClips, *, single_frames: bool) -> Feed:
        """Batches of prepared clips, without landmark maps; the label of each is its target."""
        return Feed(clips=clips, target=self._target(clips), single_frames=single_frames, maps=None)

    def clips(self, crop: CropRecipe) -> SuppliedClips:
        """The clips of the training, prepared at the first call.

        Args:
            crop: the face crop of its models.

        Raises:
            DataError, MediaError: as :meth:`feeds` raises them.
        """
        if self._clips is None:
            self._clips = self._context.processes.one_per_machine_first(
                lambda: prepare_clips(self._plan, self.dataset, crop, self._context)
            )
        return self._clips

    def training_clips(self, crop: CropRecipe) -> PreparedClips:
        """The training clips as a model with this face crop sees them; once :meth:`feeds` has prepared them.

        Raises:
            MediaError: a clip that cannot be read.
        """
        clips = self._clips
        assert clips is not None
        if crop == clips.crop:
            return clips.train
        return self._context.processes.one_per_machine_first(
            lambda: _prepare(self._plan, clips.training, crop, self._context.console, title="teacher's clips")
        )

    @property
    def account(self) -> dict[str, Any]:
        """The clips listed, skipped, carved and used; once they are prepared."""
        assert self._clips is not None
        return self._clips.account


def prepare_clips(plan: Plan, dataset: Dataset, crop: CropRecipe, context: Context) -> SuppliedClips:
    """Prepare the ``train`` and ``val`` splits; a set without ``val`` has one carved from its ``train``.

    Under the papers' protocol, ``test`` takes the place of ``val``, and pictures are taken as they are.

    Raises:
        DataError: no training split, too few subjects to carve a validation split from, or a label without a
            readable training clip.
        MediaError: a clip that cannot be read.
    """
    console = context.console
    paper = plan.protocol == "paper"
    training, validation = require_splits(dataset, "train"), dataset.split("val")
    if paper:
        validation = dataset.require_split("test")
        console.warn(
            "--protocol paper: the best epoch is chosen on 'test', as in the published results; "
            "its score there flatters the model"
        )
    else:
        training, validation = with_carved(plan, dataset, training, validation, console)
    training = (*training, *undecided(dataset, validation))
    if absent := _absent(dataset, {sample.label for sample in training}):
        raise DataError(
            f"dataset {dataset.name!r} has no training clip of {absent}; add some, or drop the label"
        )
    train = _prepare(plan, training, crop, console, title="training clips")
    val = _prepare(plan, validation, crop, console, title="validation clips", paper_windows="ends")
    if absent := _absent(dataset, set(train.labels.tolist())):
        raise DataError(
            f"dataset {dataset.name!r}: all training clips of {absent} are unreadable and would be skipped; "
            "mend some, or drop the label"
        )
    if absent := _absent(dataset, set(val.labels.tolist())):
        console.warn(
            f"dataset {dataset.name!r} has no validation clip of {absent}: what a model makes of it does not "
            "count in the choice of the best epoch"
        )
    console.say(f"{len(train)} training and {len(val)} validation clips from {dataset.name!r}")
    account = account_of(dataset, (training, train), (validation, val))
    return SuppliedClips(train=train, val=val, training=training, crop=crop, account=account)


def _prepare(
    plan: Plan,
    samples: Sequence[Sample],
    crop: CropRecipe,
    console: Console,
    *,
    title: str,
    paper_windows: FolderWindows = "every",
) -> PreparedClips:
    """Prepare clips for the plan; under the papers' protocol, as pictures of the crop's size alone."""
    paper = plan.protocol == "paper"
    return prepare(
        samples,
        ClipSpec(frames=plan.frames, fps=plan.fps, size=crop.size),
        None if paper else crop,
        console,
        title=title,
        workers=plan.settings.workers,
        windows=paper_windows if paper else "spread",
        skip_unreadable=plan.skip_unreadable,
    )


def _say_votes(target: Target, stage: str, smoothing: float, console: Console) -> None:
    """Print how many clips are trained towards votes, and what label smoothing is for then."""
    voted, clips = int(target.voted.sum()), len(target.voted)
    text = f"{stage} stage: {voted} of {clips} training clips are trained towards people's votes"
    if smoothing:
        text += f"; {stage}.label_smoothing={smoothing:g} does not change these"
    console.say(text)


def _absent(dataset: Dataset, present: set[int]) -> str:
    """Names of the labels that are not ``present``."""
    return ", ".join(label for k, label in enumerate(dataset.labels) if k not in present)


def _compute_all_maps(model: S2D, train: PreparedClips, val: PreparedClips, context: Context) -> _Maps:
    """Landmark maps of all frames, or none where they do not fit into memory."""
    console = context.console
    needed = maps_bytes(model, 2 * len(train.frames) + len(val.frames))
    if needed > LIMIT_BYTES:
        console.warn(
            f"landmark maps would take {needed / 2**30:.1f} GiB, more than {LIMIT_BYTES >> 30} GiB: they are "
            "computed at every step instead (cache_landmarks=false)"
        )
        return None, None
    return (
        compute_maps(model, train.frames, context.device, console, title="training clips"),
        compute_maps(model, val.frames, context.device, console, title="validation clips", mirrored=False),
    )
