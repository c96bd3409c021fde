"""Choosing the clips INT8 ranges are measured on, and keeping them apart from the evaluation split."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from s2d_edge.contracts.bundle import CalibrationClip
from s2d_edge.core.errors import ConfigError, DataError, MediaError
from s2d_edge.data.preparing.clips import clip_sha256
from s2d_edge.data.reading.dataset import Dataset, Sample
from s2d_edge.media.pictures import frame_paths


def choose_samples(dataset: Dataset, split: str, subset: int, seed: int) -> tuple[Sample, ...]:
    """Choose calibration clips, the classes in turn, so that rare expressions set the ranges too.

    A class with fewer clips than its share gives all it has and the others fill up. Within a class nobody is
    taken a second time before everybody was taken once: faces differ more than pictures of one face.

    Args:
        subset: clips wanted; a smaller split gives all its clips.
        seed: of the choice.

    Raises:
        ConfigError: ``subset`` is not positive.
        DataError: the split has no clip.
    """
    if subset < 1:
        raise ConfigError(f"--subset {subset}: at least one calibration clip is needed")
    generator = random.Random(seed)  # noqa: S311  (a choice to repeat, not a secret)
    by_class: dict[int, list[Sample]] = {}
    for sample in dataset.require_split(split):
        by_class.setdefault(sample.label, []).append(sample)
    for label, samples in by_class.items():
        generator.shuffle(samples)
        by_class[label] = _people_in_turn(samples)
    turns = max(len(samples) for samples in by_class.values())
    in_turn = [
        by_class[label][turn]
        for turn in range(turns)
        for label in sorted(by_class)
        if turn < len(by_class[label])
    ]
    return tuple(in_turn[:subset])


def _people_in_turn(samples: Sequence[Sample]) -> list[Sample]:
    """The same samples: first one of each subject, then a second one of each, and so on; each turn in order.

    A sample that does not say who is seen counts as a person of its own.
    """
    seen: Counter[str] = Counter()
    turns: dict[int, list[Sample]] = {}
    for sample in samples:
        turn = 0
        if sample.subject is not None:
            turn = seen[sample.subject]
            seen[sample.subject] += 1
        turns.setdefault(turn, []).append(sample)
    return [sample for turn in sorted(turns) for sample in turns[turn]]


def record(samples: Sequence[Sample], root: Path) -> tuple[CalibrationClip, ...]:
    """Name each calibration clip by its path, relative to ``root`` where it lies below, and its content."""
    return tuple(
        CalibrationClip(path=relative_path(sample.path, root), sha256=clip_sha256(sample.path))
        for sample in samples
    )


def require_disjoint(
    used: Sequence[Sample],
    clips: Sequence[CalibrationClip],
    measured: Sequence[Sample],
    *,
    kind: str = "calibration",
    split: str = "evaluation",
) -> None:
    """Refuse to measure on what was used before: the same path, the same content, or the same person.

    Args:
        used: the clips calibrated on, or chosen a recipe by.
        clips: their records, in the same order.
        measured: every clip of the split to measure on.
        kind, split: what both are, for people.

    Raises:
        DataError: they overlap; names the first clip that does, and how.
    """
    paths = {sample.path.resolve() for sample in used}
    subjects = {sample.subject for sample in used if sample.subject is not None}
    by_content = dict(zip((clip.sha256 for clip in clips), clips, strict=True))
    sizes = {_size(sample.path) for sample in used}  # clips of other sizes need no hashing
    for sample in measured:
        if sample.path.resolve() in paths:
            how = f"is a {kind} clip itself"
        elif sample.subject in subjects:
            how = f"shows {sample.subject!r}, who is in the {kind} clips too"
        elif _size(sample.path) in sizes and (clip := by_content.get(clip_sha256(sample.path))):
            how = f"has the content of the {kind} clip {clip.path}"
        else:
            continue
        raise DataError(
            f"the {split} split overlaps the {kind} clips: {sample.path} {how}; "
            "a drop measured on it would flatter INT8: use splits that share no clip and no person"
        )


def relative_path(path: Path, root: Path) -> str:
    """How reports name a clip: relative to ``root`` where it lies below."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return str(path)


def with_content(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Those of the clips that hold any bytes: the others have no content that could be elsewhere too."""
    return tuple(sample for sample in samples if _size(sample.path))


def _size(path: Path) -> int:
    """Bytes of a clip; 0 for one without any, which loading refuses, or skips."""
    try:
        files = frame_paths(path) if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except (MediaError, FileNotFoundError):
        return 0
