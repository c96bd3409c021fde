"""Look through a whole dataset for faults that would stop a training or falsify its score."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from s2d_edge.core.console import Console
from s2d_edge.core.errors import MediaError
from s2d_edge.data.check.faces import shows_a_face
from s2d_edge.data.check.report import CheckReport, Content, Finding
from s2d_edge.data.check.training import shared_subjects, training_findings
from s2d_edge.data.preparing.clips import clip_sha256, unreadable_by
from s2d_edge.data.preparing.parallel import in_parallel, usable_cores
from s2d_edge.data.reading.listing import Entry, Listing
from s2d_edge.data.reading.tables import is_there
from s2d_edge.media.kinds import media_kind
from s2d_edge.media.pictures import frame_paths, read_image
from s2d_edge.media.sampling import SLOW_PACE, pace_of, sample_by_time
from s2d_edge.media.video import read_video

# Worker processes take a second to start; fewer clips are checked sooner without.
_SERIAL_BELOW = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipState:
    """The result of decoding one clip.

    Attributes:
        frames: pictures of a folder, or samples of a video; None for a single picture.
        pace: mean distance of a video's samples, in periods of the rate; 1 without a clock.
        sha256: hash of its content; empty where it cannot be read.
        problem: the reason why it cannot be read; empty where it can.
    """

    frames: int | None = None
    pace: float = 1.0
    sha256: str = ""
    problem: str = ""


def check(
    listing: Listing, console: Console, *, frames: int, fps: float, workers: int | None = None
) -> CheckReport:
    """Read every clip of a dataset to its end.

    Args:
        frames: a folder or a video with fewer frames is too short.
        fps: rate at which videos are sampled, frames per second.
        workers: processes; by default one per core, or this one alone for few clips.
    """
    paths = list(dict.fromkeys(entry.path for entry in listing.entries if is_there(entry.path)))
    if workers is None:
        workers = 1 if len(paths) < _SERIAL_BELOW else usable_cores()
    states = _inspect_all(paths, listing.name, console, fps, workers)
    readable = [path for path in paths if not states[path].problem]
    repeats = list(listing.repeats())
    return CheckReport(
        name=listing.name,
        labels=listing.labels + tuple(sorted({entry.label for entry in listing.unknown_labels()})),
        counts=_counts(listing.entries),
        notes=listing.notes,
        findings=(
            *_unknown_labels(listing),
            *_listed_twice(listing, repeats),
            *_broken(listing, states),
            *_short(listing, states, frames),
            *_slow(listing, states, fps),
            *shared_subjects(listing),
            *_duplicates(listing, states, repeats),
            *training_findings(listing),
            *([] if shows_a_face(readable, fps, console, workers=workers) else [_faceless(listing)]),
        ),
        contents=tuple(
            Content(
                sha256=states[entry.path].sha256,
                what=listing.relative(entry.path),
                label=entry.label,
                split=entry.split,
            )
            for entry in listing.entries
            if entry.path in states and not states[entry.path].problem
        ),
    )


def inspect(path: Path, fps: float) -> ClipState:
    """Decode one clip to its end."""
    try:
        kind, pace = media_kind(path), 1.0
        if kind == "folder":
            count: int | None = sum(1 for frame in frame_paths(path) if read_image(frame).size)
        elif kind == "video":
            numbers = [number for number, _ in sample_by_time(read_video(path), fps)]
            count = len(numbers)
            pace = pace_of(numbers[0], numbers[-1], count) if numbers else 1.0
        else:
            read_image(path)
            count = None
        return ClipState(frames=count, pace=pace, sha256=clip_sha256(path))
    except (MediaError, OSError) as error:
        return ClipState(problem=str(error))


def _crashed(path: Path, how: str) -> ClipState:
    return ClipState(problem=str(unreadable_by(path, how)))


def _inspect_all(
    paths: Sequence[Path], name: str, console: Console, fps: float, workers: int
) -> dict[Path, ClipState]:
    found = in_parallel(partial(inspect, fps=fps), paths, workers=workers, died=_crashed)
    states = {}
    with console.progress(f"checking {name}", len(paths)) as advance:
        for path, state in zip(paths, found, strict=True):
            states[path] = state
            advance(1)
    return states


def _counts(entries: Sequence[Entry]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        counts[entry.split][entry.label] += 1
    return {split: dict(counted) for split, counted in counts.items()}


def _unknown_labels(listing: Listing) -> Iterator[Finding]:
    for entry in listing.unknown_labels():
        yield Finding(
            kind="unknown label",
            what=listing.relative(entry.path),
            detail=f"{entry.label!r} ({entry.where}) is not in the set {', '.join(listing.labels)}",
        )


def _listed_twice(listing: Listing, repeats: Sequence[tuple[Entry, Entry]]) -> Iterator[Finding]:
    for entry, first in repeats:
        yield Finding(
            kind="listed twice",
            what=listing.relative(entry.path),
            detail=f"{entry.label!r} in {entry.split!r} ({entry.where}), and before that {first.label!r} in "
            f"{first.split!r} ({first.where})",
        )


def _faceless(listing: Listing) -> Finding:
    return Finding(
        kind="no face",
        what=listing.name,
        detail="no clip shows a face that FaceMesh finds, and a model would be trained on whole pictures",
    )


def _broken(listing: Listing, states: Mapping[Path, ClipState]) -> Iterator[Finding]:
    for entry in listing.missing():
        yield Finding(
            kind="missing", what=listing.relative(entry.path), detail=f"is not there ({entry.where})"
        )
    for path, state in states.items():
        if state.problem:
            yield Finding(kind="unreadable", what=listing.relative(path), detail=state.problem)


def _short(listing: Listing, states: Mapping[Path, ClipState], frames: int) -> Iterator[Finding]:
    for path, state in states.items():
        if state.frames is not None and not state.problem and state.frames < frames:
            yield Finding(
                kind="too few frames",
                what=listing.relative(path),
                detail=f"{state.frames} of {frames}; training would repeat frames",
            )


def _slow(listing: Listing, states: Mapping[Path, ClipState], fps: float) -> Iterator[Finding]:
    for path, state in states.items():
        if state.pace > SLOW_PACE:
            yield Finding(
                kind="slower than the model's rate",
                what=listing.relative(path),
                detail=f"{fps / state.pace:.3g} samples per second where {fps:g} are wanted; its motion "
                "would look quicker than it is: record it at a higher rate, or choose a lower --fps",
            )


def _duplicates(
    listing: Listing, states: Mapping[Path, ClipState], repeats: Sequence[tuple[Entry, Entry]]
) -> Iterator[Finding]:
    same: dict[str, dict[Path, Entry]] = defaultdict(dict)
    twice = {id(entry) for entry, _ in repeats}  # told as such
    for entry in listing.entries:
        state = states.get(entry.path)
        if state is not None and not state.problem and id(entry) not in twice:
            same[state.sha256].setdefault(entry.path, entry)
    for group in same.values():
        first, *others = group.values()
        for entry in others:
            elsewhere = next((one for one in group.values() if one.split != entry.split), None)
            twin = elsewhere or first
            yield Finding(
                kind="duplicate across splits" if elsewhere else "duplicate within a split",
                what=listing.relative(entry.path),
                detail=f"{entry.label!r} in {entry.split!r}, has the content of "
                f"{listing.relative(twin.path)}, {twin.label!r} in {twin.split!r}",
            )
