"""The run folder of a training under way: snapshots, weights, metrics, pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from s2d_edge.contracts.runs import RUN_FILE, WEIGHTS, RunInfo, read_run, write_run_info
from s2d_edge.core.disk import refused
from s2d_edge.core.errors import TrainingError
from s2d_edge.core.files import clear_scratch, sha256_of, whole_file
from s2d_edge.model.checkpoint import save_run, save_weights
from s2d_edge.train.processes import Processes
from s2d_edge.train.record.curves import CONFUSION, CURVES, draw_best, draw_curves
from s2d_edge.train.record.environment import ENVIRONMENT, note_start
from s2d_edge.train.record.events import FOLDER as EVENTS
from s2d_edge.train.record.events import EventFile
from s2d_edge.train.record.progress import (
    LAST_WEIGHTS,
    METRICS,
    RESUME,
    Progress,
    Snapshot,
    how_to_resume,
    save_snapshot,
)

_FILES = (RESUME, METRICS, LAST_WEIGHTS, WEIGHTS, RUN_FILE, ENVIRONMENT, CURVES, CONFUSION)


class Record:
    """Writes the run folder, in rank 0 only.

    The order of writing lets a training be killed at any moment: ``run.json``, which makes a folder a run,
    comes after the first snapshot, and the best weights come before the snapshot that refers to them.
    Resuming from an older snapshot writes the same files again.

    Its methods raise TrainingError where a file cannot be written.
    """

    def __init__(self, folder: Path, info: RunInfo, processes: Processes) -> None:
        self._folder = folder
        self._info = info
        self._processes = processes
        self._events: EventFile | None = None

    def begin(self, snapshot: Snapshot, precision: str) -> None:
        """Make the folder a run that can be resumed, or resume the run in it."""
        if not self._processes.first:
            return
        done = snapshot.progress
        with self._told():
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in _FILES:
                clear_scratch(self._folder / name)
            save_snapshot(self._folder, snapshot)
            note_start(self._folder, self._processes, precision, epoch=done.epoch, step=done.step)
            self._events = EventFile(self._folder, done.history)
            write_run_info(self._folder, self._standing())

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say of a file that cannot be written, as on a full disk, how to resume the training."""
        try:
            yield
        except OSError as error:
            if (self._folder / RUN_FILE).is_file():
                go_on = f"then {how_to_resume(self._folder)}"
            else:  # what there is of it cannot be resumed
                self._remove()
                go_on = "then start the training again"
            raise TrainingError(f"{refused(error, self._folder)}, {go_on}") from None

    def _remove(self) -> None:
        self.close()
        shutil.rmtree(self._folder / EVENTS, ignore_errors=True)
        with suppress(OSError):
            for name in _FILES:
                (self._folder / name).unlink(missing_ok=True)
            self._folder.rmdir()

    def _standing(self) -> RunInfo:
        """The current record, right even where a training was killed after writing only its weights."""
        weights = self._folder / WEIGHTS
        if not weights.is_file():
            return self._info
        return replace(read_run(self._folder, encoder_ok=True), weights_sha256=sha256_of(weights))

    def epoch(self, snapshot: Snapshot, record: dict[str, Any], best: nn.Module | None) -> None:
        """Write the state after an epoch, and the weights of ``best`` where the epoch is the best so far."""
        if not self._processes.first:
            return
        with self._told():
            if best is not None:
                origin = self._info.origin | {"best_epoch": str(record["epoch"])}
                save_run(self._folder, replace(self._info, origin=origin), best)
            save_snapshot(self._folder, snapshot)
            assert self._events is not None
            self._events.add(record)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Write the state within an epoch."""
        if self._processes.first:
            with self._told():
                save_snapshot(self._folder, snapshot)

    def picture(self, name: str, draw: Callable[[Path], None]) -> None:
        """Write a picture of the epoch under way; ``draw`` writes it to the path that it is given."""
        if self._processes.first:
            with self._told(), whole_file(self._folder / name) as scratch:
                draw(scratch)

    def last(self, model: nn.Module) -> None:
        """Write the weights that a training ended with or was interrupted at."""
        if self._processes.first:
            with self._told():
                save_weights(model, self._folder / LAST_WEIGHTS)

    def finish(self, progress: Progress) -> None:
        """Draw the pictures; from then on :func:`is_finished` is True."""
        if not self._processes.first:
            return
        name, labels = self._info.name, self._info.labels
        with self._told():
            if progress.confusion:
                title = f"{name}\nbest epoch, validation clips"
                draw_best(progress.confusion, labels, self._folder, title=title)
            draw_curves(progress.history, self._folder, title=name)

    def close(self) -> None:
        """Close the event file."""
        if self._events is not None:
            with suppress(OSError):  # all was written by `add`, or its error was raised
                self._events.close()


def is_finished(folder: Path) -> bool:
    """True if a training that did all its epochs has also written everything else."""
    return (folder / CURVES).is_file()
