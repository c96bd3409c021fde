"""Clips prepared so far: they survive an interruption, and the next preparation of these clips resumes."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from s2d_edge.core.disk import naming
from s2d_edge.core.errors import MediaError
from s2d_edge.core.locks import Lock, lock
from s2d_edge.core.scratch import in_use, scratch_name
from s2d_edge.data.preparing.loaded import LoadedClip

FRAMES = "frames.u8"
_JOURNAL = "journal.jsonl"
_ENDING = ".partial"
_FORGOTTEN_S = 7 * 24 * 3600.0  # by then the clips, or their settings, are most likely others


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One clip of a journal, beside its frames.

    Attributes:
        unreadable: why it cannot be read; None for a clip that was read.
        frames: number of its distinct frames.
        index: (V, T) into these, one row per window.
        numbers: (V, T), where the windows' frames lie on the model's grid; None where they are even.
        faces_missed, repeated, pace: as in :class:`LoadedClip`.
    """

    unreadable: str | None = None
    frames: int = 0
    index: list[list[int]] | None = None
    numbers: list[list[float]] | None = None
    faces_missed: int = 0
    repeated: bool = False
    pace: float = 1.0


class Journal:
    """Appends clips to a folder, each whole or not at all, after those that an earlier process appended.

    Attributes:
        records: of all clips, in order.
    """

    def __init__(self, folder: Path, frame_bytes: int) -> None:
        """Open a folder's journal.

        Args:
            frame_bytes: size of one frame.
        """
        frames, lines = folder / FRAMES, folder / _JOURNAL
        self.records, kept = _kept(frames, lines, frame_bytes)
        with ExitStack() as stack:
            self._frames = stack.enter_context(frames.open("ab"))
            self._frames.truncate(frame_bytes * sum(record.frames for record in self.records))
            self._lines = stack.enter_context(lines.open("ab", buffering=0))
            self._lines.truncate(kept)
            self._files = stack.pop_all()

    def add(self, loaded: LoadedClip | MediaError) -> None:
        """Append a clip, or why it cannot be read."""
        if isinstance(loaded, MediaError):
            record = Record(unreadable=str(loaded))
        else:
            self._frames.write(np.ascontiguousarray(loaded.frames).data)
            self._frames.flush()  # before the line that says they are there
            numbers = loaded.window_numbers
            record = Record(
                frames=len(loaded.frames),
                index=loaded.index.tolist(),
                numbers=None if numbers is None else numbers.tolist(),
                faces_missed=loaded.faces_missed,
                repeated=loaded.repeated,
                pace=loaded.pace,
            )
        self._lines.write(json.dumps(asdict(record)).encode() + b"\n")
        self.records.append(record)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()


def _kept(frames: Path, lines: Path, frame_bytes: int) -> tuple[list[Record], int]:
    """The records whose frames are all there, and how many bytes of the journal they take."""
    records: list[Record] = []
    try:
        left, journal = frames.stat().st_size // frame_bytes, lines.read_bytes()
    except FileNotFoundError:
        return [], 0
    size = 0
    for line in journal.splitlines(keepends=True):
        try:
            record = Record(**json.loads(line))
        except (ValueError, TypeError):  # the line under way when the process was killed
            break
        left -= record.frames
        if left < 0 or not line.endswith(b"\n"):
            break
        records.append(record)
        size += len(line)
    return records, size


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """Yield a folder in which to make ``target``; an interruption leaves it for the next one who does.

    It is removed at the end of the block, and after an error. While another process has it, or where the file
    system has no locks, another folder is yielded, which nobody continues.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    kept = target.with_name(f".{target.name}{_ENDING}")
    with ExitStack() as stack:
        folder = kept
        if not _locked(kept, stack):
            folder = target.with_name(scratch_name(target.name))
            folder.mkdir()
            stack.enter_context(in_use(folder))
        try:
            with naming(target, folder):
                yield folder
        except KeyboardInterrupt:
            if folder is not kept:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def sweep_partial(parent: Path) -> None:
    """Remove folders of :func:`partial_folder` that nobody has continued for a week."""
    for folder in parent.glob(f".*{_ENDING}"):
        with suppress(OSError), ExitStack() as stack:
            old = time.time() - max(entry.stat().st_mtime for entry in (folder, *folder.iterdir()))
            if old > _FORGOTTEN_S and _locked(folder, stack):
                shutil.rmtree(folder, ignore_errors=True)


def _locked(folder: Path, stack: ExitStack) -> bool:
    """Make a folder if there is none, and hold a lock on it until ``stack`` is left; False if that fails."""
    if os.name != "posix":  # elsewhere folders cannot be opened
        return False
    folder.mkdir(exist_ok=True)
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:  # whoever had it has just finished
        return False
    stack.callback(os.close, handle)
    return lock(handle) is Lock.OURS
