"""The records of a training in its run folder: where it ran, and its curves for TensorBoard."""

from __future__ import annotations

import getpass
import json
import socket
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event

from s2d_edge.train.processes import Processes
from s2d_edge.train.record.environment import ENVIRONMENT, note_start
from s2d_edge.train.record.events import EventFile

HISTORY: list[dict[str, Any]] = [
    {"epoch": 0, "val_loss": 1.5, "val_war": 0.25},
    {"epoch": 1, "train_loss": 1.0, "val_loss": 1.25, "val_war": 0.5},
]


def _curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The points in the one event file, read as TFRecords: length, its checksum, content, its checksum."""
    (file,) = (folder / "tensorboard").iterdir()
    curves: dict[str, list[tuple[int, float]]] = {}
    rest = file.read_bytes()
    while rest:
        (length,) = struct.unpack("<Q", rest[:8])
        event = Event.FromString(rest[12 : 12 + length])
        for value in event.summary.value:
            curves.setdefault(value.tag, []).append((event.step, value.simple_value))
        rest = rest[16 + length :]
    return curves


def test_the_event_file_has_every_epoch_once_also_after_resuming(tmp_path: Path) -> None:
    first = EventFile(tmp_path, [])
    for record in HISTORY:
        first.add(record)
    first.close()
    wanted = {"val/loss": [(0, 1.5), (1, 1.25)], "val/war": [(0, 0.25), (1, 0.5)], "train/loss": [(1, 1.0)]}
    assert _curves(tmp_path) == wanted
    again = EventFile(tmp_path, HISTORY[:1])  # a snapshot from before epoch 1
    again.add(HISTORY[1])
    assert _curves(tmp_path) == wanted  # also while it is open
    again.close()
    assert not [path for path in tmp_path.rglob("*") if socket.gethostname() in path.name]


def test_each_set_has_curves_of_its_own(tmp_path: Path) -> None:
    file = EventFile(tmp_path, [])
    file.add(
        {"epoch": 1, "val_war": 0.5, "val_sets": {"a_b": {"war": 0.25}, "c": {"war": 0.75, "loss": 2.0}}}
    )
    file.close()
    assert _curves(tmp_path) == {
        "val/war": [(1, 0.5)],
        "val/war/a_b": [(1, 0.25)],
        "val/war/c": [(1, 0.75)],
        "val/loss/c": [(1, 2.0)],
    }


def test_the_environment_records_commit_and_changes_but_no_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=n", "-c", "user.email=e")
        return subprocess.run(
            ["git", *who, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    alone = Processes("cpu")
    note_start(tmp_path, alone, "32-true", epoch=0, step=0)
    git("init", "-q")
    Path("file").write_text("one")
    git("add", "file")
    git("commit", "-qm", "one")
    note_start(tmp_path, alone, "32-true", epoch=1, step=0)
    Path("file").write_text("two")
    note_start(tmp_path, alone, "32-true", epoch=1, step=3)
    text = (tmp_path / ENVIRONMENT).read_text()
    starts = json.loads(text)["starts"]
    commit = git("rev-parse", "HEAD")
    assert [start["git"] for start in starts] == [
        None,
        {"commit": commit, "dirty": False},
        {"commit": commit, "dirty": True},
    ]
    assert [(start["epochs_done"], start["steps_done"]) for start in starts] == [(0, 0), (1, 0), (1, 3)]
    assert {"python", "torch", "lightning-fabric"} <= set(starts[0]["versions"])
    assert str(tmp_path) not in text
    values = {str(value) for start in starts for value in start.values()}
    assert not {socket.gethostname(), getpass.getuser()} & values
