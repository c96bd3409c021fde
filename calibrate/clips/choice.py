"""Choose every clip of a calibration, and load those to calibrate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s2d_edge.calibrate.clips.disjoint import record, require_disjoint, with_content
from s2d_edge.calibrate.clips.samples import choose_samples
from s2d_edge.calibrate.clips.validation import ValidationClips, choose_validation
from s2d_edge.contracts.bundle import CalibrationClip, Manifest
from s2d_edge.contracts.engine import Clip
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.data.preparing.clips import load_many
from s2d_edge.data.preparing.tally import LoadingTally
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.data.reading.open import open_dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipChoice:
    """Settings of the choice of clips; the options of ``calibrate`` say what each is.

    Attributes:
        is_gated: validation clips are needed, since a gate decides on them.
    """

    data: str | None
    split: str
    eval_split: str
    val_split: str | None
    subset: int
    seed: int
    skip_unreadable: bool
    is_gated: bool

    def __post_init__(self) -> None:
        if self.split == self.eval_split:
            raise ConfigError(
                f"--split and --eval-split are both {self.split!r}; a drop measured on the calibration clips "
                "flatters INT8: name two different splits"
            )
        if self.is_gated and self.val_split in (self.split, self.eval_split):
            raise ConfigError(
                f"--val-split {self.val_split!r} is --split or --eval-split too; the clips on which the gate "
                "decides must be neither calibrated nor evaluated on: name a third split"
            )
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed} must be a whole number, at least 0")
        if self.subset < 1:
            raise ConfigError(f"--subset {self.subset}: at least one calibration clip is needed")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenClips:
    """Clips of one calibration; no clip and no person is in two of its three parts.

    Attributes:
        dataset: without clips taken out of the calibration split to validate on.
        calibration: clips to calibrate on, all readable.
        windows: the first window of each of them, (1, T, S, S, 3) uint8 RGB.
        records: their paths and hashes, in the same order.
        validation: clips on which the gate decides; None without a gate.
        evaluation: every clip of the split to measure the drop on.
    """

    choice: ClipChoice
    dataset: Dataset
    calibration: tuple[Sample, ...]
    windows: Sequence[Clip]
    records: tuple[CalibrationClip, ...]
    validation: ValidationClips | None
    evaluation: tuple[Sample, ...]


def choose_clips(choice: ClipChoice, manifest: Manifest, console: Console) -> ChosenClips:
    """Open the dataset, choose the clips of each part, and load those to calibrate on.

    Raises:
        DataError: no calibration clips, or a clip, a person or content is in two parts.
        S2DEdgeError: the dataset cannot be opened, or a clip cannot be read.
    """
    dataset = open_dataset(choice.data, console, manifest.labels, missing_ok=choice.skip_unreadable)
    evaluation = dataset.require_split(choice.eval_split)
    validation = None
    if choice.is_gated:
        dataset, validation = choose_validation(dataset, choice.val_split, choice.split, choice.seed, console)
    samples = choose_samples(dataset, choice.split, choice.subset, choice.seed)
    if len(samples) < choice.subset:
        console.warn(
            f"split {choice.split!r} has {len(samples)} clips to calibrate on, fewer than --subset "
            f"{choice.subset}; all are used"
        )
    samples, windows = load_windows(
        samples, manifest, "calibration", console, skip_unreadable=choice.skip_unreadable
    )
    records = record(samples, dataset.root)
    require_disjoint(samples, records, evaluation)
    if validation is not None:
        require_disjoint(samples, records, validation.samples, split="validation")
        readable = with_content(validation.samples)
        require_disjoint(readable, record(readable, dataset.root), evaluation, kind="validation")
    return ChosenClips(
        choice=choice,
        dataset=dataset,
        calibration=samples,
        windows=windows,
        records=records,
        validation=validation,
        evaluation=evaluation,
    )


def load_windows(
    samples: Sequence[Sample], manifest: Manifest, kind: str, console: Console, *, skip_unreadable: bool
) -> tuple[tuple[Sample, ...], list[Clip]]:
    """Load the first window of each clip; return the readable clips with their windows.

    Args:
        kind: purpose of the clips, for messages.

    Raises:
        MediaError: a clip cannot be read, and none may be skipped.
        DataError: no clip can be read.
    """
    tally = LoadingTally()
    with console.progress(f"loading {kind} clips", len(samples)) as advance:
        loading = load_many(
            [sample.path for sample in samples],
            manifest.spec,
            manifest.crop,
            on_unreadable=tally.skip if skip_unreadable else None,
        )
        windows = [clip.windows[:1] for clip in tally.watch(loading, advance)]
    tally.report(console)
    if not windows:
        raise DataError(
            f"none of the {len(samples)} {kind} clips can be read, such as {samples[0].path}; "
            "check the data with 's2d-edge data check'"
        )
    return tally.readable(samples), windows
