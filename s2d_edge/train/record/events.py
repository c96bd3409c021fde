"""Metrics of a training in TensorBoard's format."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FOLDER = "tensorboard"


class EventFile:
    """An event file under ``tensorboard/`` of a run folder.

    Its records are tensorboardX's, but not written by its ``SummaryWriter``: that one puts the host's name
    into the file's name, and writes the epochs that a resumed training repeats twice.
    """

    def __init__(self, folder: Path, history: Sequence[dict[str, Any]]) -> None:
        """Start a file with ``history``, one record per epoch as in ``metrics.jsonl``; delete older files."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter

        where = folder / FOLDER
        where.mkdir(parents=True, exist_ok=True)
        for old in where.glob("events.out.tfevents.*"):
            old.unlink()
        self._file = RecordWriter(str(where / f"events.out.tfevents.{int(time.time())}.s2d-edge"))
        self._file.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        for record in history:
            self.add(record)

    def add(self, record: dict[str, Any]) -> None:
        """Add one epoch: ``train_loss`` becomes the curve ``train/loss``, and so on.

        A set's figures in ``val_sets`` become the curves ``val/war/SET`` and so on.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in _curves(record):
            event = Event(wall_time=time.time(), step=record["epoch"], summary=scalar(name, value))
            self._file.write(event.SerializeToString())
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _curves(record: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if name == "val_sets":
            yield from (
                (f"val/{figure}/{each}", number)
                for each, figures in value.items()
                for figure, number in figures.items()
            )
        elif name != "epoch":
            yield name.replace("_", "/", 1), value
