"""A training that waits to be killed once its second epoch is saved: what a test starts as a process."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from unittest import mock

from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.core.console import Console
from s2d_edge.train.command import train
from s2d_edge.train.record import record
from s2d_edge.train.record.progress import Snapshot, save_snapshot
from tests.train.tiny import VIDEO

WAITING = "waiting"  # made beside the run folder


def _save_and_wait(folder: Path, snapshot: Snapshot) -> None:
    save_snapshot(folder, snapshot)
    if snapshot.progress.epoch == 2:
        folder.with_name(WAITING).touch()
        time.sleep(3600)


if __name__ == "__main__":
    data, landmark, out, *changes = sys.argv[1:]
    PRESETS["demo"] = VIDEO
    with mock.patch.object(record, "save_snapshot", _save_and_wait):
        train(
            stage="image",
            data=data,
            landmark=Path(landmark),
            out=Path(out),
            epochs=4,
            changes=tuple(changes),
            console=Console(quiet=True),
        )
