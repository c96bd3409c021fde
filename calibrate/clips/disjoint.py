"""Keep clips that were used apart from clips to measure on, by path, content and person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s2d_edge.contracts.bundle import CalibrationClip
from s2d_edge.core.errors import DataError, MediaError
from s2d_edge.data.preparing.clips import clip_sha256
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.data.reading.spelling import bare, in_one_line
from s2d_edge.media.pictures import frame_paths


def record(samples: Sequence[Sample], root: Path) -> tuple[CalibrationClip, ...]:
    """Name each clip by its path, relative to ``root`` where it lies below, and its content."""
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
    """Check that no clip to measure on was used already: by its path, its content or its person.

    Args:
        used: the clips used, to calibrate, to tune or to choose a recipe.
        clips: their records, in the same order.
        measured: every clip of the split to measure on.
        kind, split: names of both, for the message.

    Raises:
        DataError: they overlap; names the first clip that does, and how.
    """
    paths = {sample.path.resolve() for sample in used}
    subjects = {bare(sample.subject) for sample in used if sample.subject}
    by_content = dict(zip((clip.sha256 for clip in clips), clips, strict=True))
    sizes = {_size(sample.path) for sample in used}  # clips of other sizes need no hashing
    for sample in measured:
        if sample.path.resolve() in paths:
            how = f"is a {kind} clip itself"
        elif sample.subject and bare(sample.subject) in subjects:
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
    """Return a clip's name for reports: relative to ``root`` where it lies below, escaped where no text."""
    return in_one_line(path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path))


def with_content(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return the clips that hold any bytes: the others have no content to compare."""
    return tuple(sample for sample in samples if _size(sample.path))


def _size(path: Path) -> int:
    """Bytes of a clip; 0 for an empty one, which loading refuses or skips."""
    try:
        files = frame_paths(path) if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)
    except (MediaError, OSError):
        return 0
