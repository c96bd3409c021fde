"""Prepare clips once: decode, find faces, crop, keep on disk, and read back as one array.

Both stages of training and every epoch read the same prepared frames. These come from ``ClipLoader``, as in
evaluation, so training sees exactly the crops that a device will. What was prepared before an interruption is
kept, and this preparation resumes after it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.core.caches import cache_folder
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError, MediaError
from s2d_edge.core.files import whole_folder
from s2d_edge.core.json_files import read_json
from s2d_edge.core.scratch import sweep
from s2d_edge.data.preparing.clips import try_many
from s2d_edge.data.preparing.loaded import unless_even
from s2d_edge.data.preparing.partial import FRAMES, Journal, Record, partial_folder, sweep_partial
from s2d_edge.data.preparing.tally import first_of
from s2d_edge.data.reading.dataset import Sample, vote_table
from s2d_edge.data.reading.identity import Places
from s2d_edge.data.reading.tables import read_arrays
from s2d_edge.media.faces import search
from s2d_edge.media.pictures import leads_nowhere
from s2d_edge.media.sampling import SLOW_PACE, FolderWindows

# Part of the key under which prepared clips are kept: raise it when loading or cropping changes.
PREPARATION_VERSION = 6
_INDEX, _ABOUT = "index.npz", "about.json"
_REMEDY = "the clips are prepared again"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedClips:
    """n labelled clips in memory-mapped frames.

    Attributes:
        frames: (F, S, S, 3) uint8 RGB, the distinct frames of all clips.
        windows: (W, T) int64 into ``frames``; a still repeats one frame.
        first_window: (n + 1,) int64; clip i owns windows ``first_window[i]`` to ``first_window[i + 1]``.
        labels: (n,) int64 class indices.
        sources: (n,) int64, which of the dataset's sets each clip is from.
        names: path of each clip, for messages.
        votes: (n, K) float32, the share of people's votes that each class got; rows of zeros for clips
            without votes. None where no clip has any.
        faces_missed: number of frames without a face.
        numbers: (W, T) float64, where the frames of each window lie on the model's grid; None where all are a
            period apart, or have no clock and count as that.
        unreadable: paths of the clips that were skipped, each with the reason.
        slow: paths of the clips whose source has fewer frames a second than was asked for, each with the rate
            at which it was sampled, frames per second.
    """

    frames: NDArray[np.uint8]
    windows: NDArray[np.int64]
    first_window: NDArray[np.int64]
    labels: NDArray[np.int64]
    sources: NDArray[np.int64]
    names: tuple[str, ...]
    faces_missed: int
    votes: NDArray[np.float32] | None = None
    numbers: NDArray[np.float64] | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)
    slow: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def window_counts(self) -> NDArray[np.int64]:
        """Number of windows of each clip, (n,) int64."""
        return np.diff(self.first_window)


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """The settings of loading; see :func:`prepare`."""

    spec: ClipSpec
    crop: CropRecipe | None
    windows: FolderWindows
    workers: int
    skip_unreadable: bool


def prepare(
    samples: Sequence[Sample],
    spec: ClipSpec,
    crop: CropRecipe | None,
    console: Console,
    *,
    title: str,
    workers: int = 0,
    windows: FolderWindows = "spread",
    skip_unreadable: bool = False,
) -> PreparedClips:
    """Load clips through the host's crop code, or reuse those that an earlier run loaded.

    Args:
        samples: the clips; the prepared ones keep this order.
        spec: frames, rate and size of the clips.
        crop: the face crop; None takes the pictures as they are.
        title: for the progress bar, e.g. ``training clips``.
        workers: processes; 0 takes one per core.
        windows: the windows taken of a folder of frames.
        skip_unreadable: leave out, and count, clips that cannot be read; otherwise the first one is an error.

    Raises:
        DataError: no samples, or none that can be read.
        MediaError: a clip that cannot be read, unless these are skipped; names it.
    """
    how = _How(spec=spec, crop=crop, windows=windows, workers=workers, skip_unreadable=skip_unreadable)
    if not samples:
        raise DataError(f"there are no {title} to prepare; check the dataset's splits")
    folder = cache_folder() / "clips" / _key(samples, how)
    sweep(folder.parent, "[0-9a-f]{32}")
    sweep_partial(folder.parent)
    prepared, repeated = _read_or_write(folder, samples, how, console, title)
    if prepared.unreadable:
        reasons = list(prepared.unreadable.values())
        if not how.skip_unreadable:
            raise MediaError(reasons[0])
        console.warn(
            f"{title}: {len(reasons)} of {len(samples)} are unreadable and skipped: {first_of(reasons)}"
        )
    if repeated:
        console.warn(
            f"{title}: {repeated} of {len(samples)} clips have fewer than {how.spec.frames} frames; "
            "frames repeat"
        )
    if prepared.slow:
        slowest = min(prepared.slow.values())
        console.warn(
            f"{title}: {len(prepared.slow)} of {len(samples)} have fewer than {how.spec.fps:g} frames a "
            f"second, so motion looks quicker than it is: {first_of(list(prepared.slow))}; "
            f"with --fps {slowest:.3g} all would be sampled at one rate"
        )
    total = len(prepared.frames)
    if prepared.faces_missed:
        console.warn(
            f"{title}: no face found in {prepared.faces_missed} of {total} frames "
            f"({100 * prepared.faces_missed / total:.1f} %); used with a neighbour frame's crop, or whole"
        )
    return prepared


def _read_or_write(
    folder: Path, samples: Sequence[Sample], how: _How, console: Console, title: str
) -> tuple[PreparedClips, int]:
    """Read the prepared clips in ``folder`` as :func:`_read` does; make them first where that fails."""
    if (folder / _ABOUT).is_file():
        try:
            return _read(folder, samples, how)
        except DataError as error:
            console.warn(f"{title}: {error}")
    _write(samples, how, console, folder, title)
    return _read(folder, samples, how)


def _key(samples: Sequence[Sample], how: _How) -> str:
    """A key of everything that prepared clips depend on: files, their state, and the crop."""
    digest = hashlib.sha256()
    head = {
        "version": PREPARATION_VERSION,
        "spec": asdict(how.spec),
        "crop": None if how.crop is None else asdict(how.crop) | {"search": search.SEARCH_VERSION},
        "windows": how.windows,
    }
    digest.update(json.dumps(head, sort_keys=True).encode())
    places = Places()
    for sample in samples:
        for file, state in _states(sample.path):
            if state is None and not how.skip_unreadable:
                gone = f"{file} does not exist; copy it there, or leave it out of the dataset"
                raise DataError(leads_nowhere(file) or gone)
            about = "absent" if state is None else f"{state.st_size}\0{state.st_mtime_ns}"
            # A path is bytes, which need not be text.
            digest.update(os.fsencode(places.real(file)) + f"\0{about}\n".encode())
    return digest.hexdigest()[:32]


def _states(path: Path) -> Iterator[tuple[Path, os.stat_result | None]]:
    """A clip's files with their states; None for one that is not there, or that the disk refuses."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
    except (OSError, ValueError):
        files = [path]
    for file in files:
        try:
            yield file, file.stat()
        except (OSError, ValueError):
            yield file, None


def _write(samples: Sequence[Sample], how: _How, console: Console, folder: Path, title: str) -> None:
    """Make ``folder``; what is prepared when an interrupt comes is not prepared again."""
    with partial_folder(folder) as under_way:
        with Journal(under_way, how.spec.size * how.spec.size * 3) as journal:
            _load(samples, how, console, journal, title)
        with whole_folder(folder, shared=True) as scratch:
            (under_way / FRAMES).replace(scratch / FRAMES)
            _describe(journal.records, how, scratch)


def _load(samples: Sequence[Sample], how: _How, console: Console, journal: Journal, title: str) -> None:
    """Append the clips that the journal does not have yet."""
    begun = len(journal.records)
    if begun:
        console.say(f"{title}: {begun} of {len(samples)} were prepared before an interruption")
    left = [sample.path for sample in samples[begun:]]
    loading = try_many(left, how.spec, how.crop, windows=how.windows, workers=how.workers or None)
    with (
        closing(loading),
        console.progress(f"preparing {title}", len(samples), done=begun) as advance,
    ):
        for loaded in loading:
            if isinstance(loaded, MediaError) and not how.skip_unreadable:
                raise loaded
            journal.add(loaded)
            advance(1)
    if all(record.unreadable is not None for record in journal.records):
        raise DataError(f"none of the {len(samples)} {title} can be read: {journal.records[0].unreadable}")


def _describe(records: Sequence[Record], how: _How, folder: Path) -> None:
    """Write where the windows of each clip are among the frames, and what was counted."""
    windows: list[NDArray[np.int64]] = []
    numbers: list[NDArray[np.float64]] = []
    frames = 0
    for record in records:
        if record.index is None:
            continue
        index = np.array(record.index, dtype=np.int64)  # (V, T)
        windows.append(index + frames)
        even = np.broadcast_to(np.arange(how.spec.frames, dtype=np.float64), index.shape)
        numbers.append(even if record.numbers is None else np.array(record.numbers))
        frames += record.frames
    np.savez(
        folder / _INDEX,
        windows=np.concatenate(windows),
        counts=np.array([len(rows) for rows in windows], dtype=np.int64),
        numbers=np.concatenate(numbers),
    )
    numbered = {str(k): record for k, record in enumerate(records)}
    about = {
        "frames": frames,
        "faces_missed": sum(record.faces_missed for record in records),
        "clips_repeated": sum(record.repeated for record in records),
        "unreadable": {k: record.unreadable for k, record in numbered.items() if record.index is None},
        "slow": {k: how.spec.fps / record.pace for k, record in numbered.items() if record.pace > SLOW_PACE},
    }
    (folder / _ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _read(folder: Path, samples: Sequence[Sample], how: _How) -> tuple[PreparedClips, int]:
    """The prepared clips, and the number of those whose frames repeat.

    Raises:
        DataError: a file is missing or damaged.
    """
    about = read_json(folder / _ABOUT, DataError, _REMEDY)
    windows, counts, numbers = read_arrays(folder / _INDEX, ("windows", "counts", "numbers"), _REMEDY)
    unreadable: dict[str, str] = about["unreadable"]
    readable = [sample for k, sample in enumerate(samples) if str(k) not in unreadable]
    shape = (about["frames"], how.spec.size, how.spec.size, 3)
    file = folder / FRAMES
    size = file.stat().st_size if file.is_file() else 0
    if size != prod(shape):
        raise DataError(f"{file} has {size} bytes where {prod(shape)} were written; {_REMEDY}")
    frames = np.memmap(file, dtype=np.uint8, mode="r", shape=shape)
    prepared = PreparedClips(
        frames=frames,
        windows=windows,
        first_window=np.concatenate(([0], np.cumsum(counts))),
        labels=np.array([sample.label for sample in readable], dtype=np.int64),
        sources=np.array([sample.source for sample in readable], dtype=np.int64),
        names=tuple(str(sample.path) for sample in readable),
        faces_missed=about["faces_missed"],
        votes=vote_table(readable),
        numbers=unless_even(numbers),
        unreadable={str(samples[int(number)].path): reason for number, reason in unreadable.items()},
        slow={str(samples[int(number)].path): fps for number, fps in about["slow"].items()},
    )
    return prepared, int(about["clips_repeated"])
