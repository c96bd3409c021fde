"""A disk that fills ends a training with one sentence; nothing that was whole is lost, and it goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.core.console import Console
from s2d_edge.core.errors import S2DEdgeError, TrainingError
from s2d_edge.data.preparing.prepare import prepare
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.s2d import S2D
from s2d_edge.train.command import train
from s2d_edge.train.context import open_context
from s2d_edge.train.loop.loop import StageTraining
from s2d_edge.train.plan.settings import StageSettings
from s2d_edge.train.record.progress import Snapshot, load_snapshot
from s2d_edge.train.record.record import Record
from s2d_edge.train.supply import supply
from tests.full_disk import full
from tests.train.tiny import job, noisy_clips

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

SETTINGS = StageSettings(epochs=2, batch_clips=4, lr=1e-3, warmup_epochs=0, dropout=0)


def _training(folder: Path) -> StageTraining:
    return StageTraining(job(folder, SETTINGS, noisy_clips(8), noisy_clips(4)))


def _add_event(record: Record) -> None:
    assert record._events is not None
    with record._told():
        record._events.add({"epoch": 1, "val_loss": 0.5})


def test_a_training_that_cannot_begin_leaves_no_folder(tmp_path: Path) -> None:
    training = _training(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"resume\.pt") as caught, full(1000):
        training.run()
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("file", "limit", "write"),
    [
        ("resume.pt", 1000, lambda record, work: record.snapshot(work._snapshot())),
        ("last.safetensors", 1000, lambda record, work: record.last(work.job.model)),
        (
            "weights.safetensors",
            1000,
            lambda record, work: record.epoch(work._snapshot(), {"epoch": 1}, work.job.model),
        ),
        ("run", 40, lambda record, work: _add_event(record)),
        ("learning-curve.png", 1000, lambda record, work: record.finish(work.progress)),
    ],
)
def test_every_file_of_a_run_says_how_to_go_on(
    tmp_path: Path, file: str, limit: int, write: Callable[[Record, StageTraining], None]
) -> None:
    run = tmp_path / "run"
    training = _training(run)
    training._record.begin(training._snapshot(), "32-true")
    training.progress.history.append({"epoch": 1, "train_loss": 1, "val_loss": 1, "val_war": 0, "val_uar": 0})
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    with pytest.raises(TrainingError, match=rf"{file} .*train --resume {run}$"), full(limit):
        write(training._record, training)
    training._record.close()
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


def test_what_was_saved_goes_on_to_the_very_weights_of_a_whole_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parted = _training(tmp_path / "whole"), _training(tmp_path / "parted")
    whole.run()
    record, epoch = parted._record, parted._record.epoch

    def on_a_full_disk(snapshot: Snapshot, figures: dict[str, Any], best: S2D | None) -> None:
        with full(1000) if parted.progress.epoch == 2 else nullcontext():
            epoch(snapshot, figures, best)

    monkeypatch.setattr(record, "epoch", on_a_full_disk)
    with pytest.raises(TrainingError, match="--resume"):
        parted.run()
    load_run(tmp_path / "parted")  # the best weights and their record still belong together
    again = _training(tmp_path / "parted")
    again.restore(load_snapshot(tmp_path / "parted"))
    again.run()
    for name in ("weights.safetensors", "last.safetensors"):
        assert (tmp_path / "parted" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_full_cache_names_the_variable_that_moves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((32, 32, 3), np.uint8))
    sample = Sample(path=tmp_path / "one.png", label=0, split="train")
    quiet, spec = Console(quiet=True), ClipSpec(frames=1, fps=1.0, size=32)
    crop = CropRecipe(size=32, alignment="none")
    with (
        pytest.raises(TrainingError, match=rf"{tmp_path}/cache/clips/.* S2D_EDGE_CACHE"),
        open_context("cpu", quiet),
        full(100),
    ):
        prepare([sample], spec, crop, quiet, title="clips", workers=1)
    assert not list((tmp_path / "cache" / "clips").iterdir())


@pytest.mark.parametrize("stage", ["image", None])
def test_a_folder_that_cannot_be_made_is_noticed_before_clips_are_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str | None
) -> None:
    monkeypatch.setattr(supply, "prepare", lambda *given, **options: pytest.fail("clips were prepared"))
    for k in range(4):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.zeros((32, 32, 3), np.uint8))
    rows = [f"{k}.png,{'ab'[k % 2]},{('train', 'val')[k // 2]}" for k in range(4)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,split", *rows]))
    out = Path("/proc/no-run-here")  # refused to root, too
    with pytest.raises(S2DEdgeError, match=rf"{out}.* --out"):
        train(stage=stage, data=str(tmp_path), out=out, console=Console(quiet=True))
