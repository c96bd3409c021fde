"""A training that starts from a run begins at that accuracy: it is validated before the first step."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from s2d_edge import evaluate, load
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.runs import RunInfo, read_run
from s2d_edge.core.console import Console
from s2d_edge.model.checkpoint import save_run
from s2d_edge.model.s2d import S2D
from s2d_edge.train.command import train
from s2d_edge.verbs.import_ import import_run
from tests.train.tiny import SIZE, VIDEO

pytestmark = pytest.mark.usefixtures("undrawn")

QUIET = Console(quiet=True)
VALIDATED = 4


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path


def _labelled(run: Path, pictures: Sequence[Path]) -> Path:
    """A CSV in which ``run`` is right about all validation pictures but two."""
    labels = read_run(run).labels
    validated, learnt = pictures[:VALIDATED], pictures[VALIDATED:]
    with load(run, device="cpu") as model:
        predictions = model.predict_many(validated)
    rows = []
    for k, prediction in enumerate(predictions):
        wrong = labels[(labels.index(prediction.label) + 1) % len(labels)]
        rows.append((validated[k], wrong if k < 2 else prediction.label, "val"))
    rows += [(path, labels[k % len(labels)], "train") for k, path in enumerate(learnt)]
    with Path("labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    return Path("labels.csv")


def _check_that_a_training_starts_at_the_score_of(run: Path, pictures: Sequence[Path]) -> None:
    data = str(_labelled(run, pictures))
    evaluated = evaluate(run, data=data, split="val", device="cpu")
    assert evaluated["war"] == pytest.approx(1 - 2 / VALIDATED)
    changes = ("workers=1", "video.epoch_clips=2", "video.batch_clips=2", "video.lr=1e-2", "video.ema=0.9")
    (further,) = train(
        stage="video", init=run, data=data, epochs=1, changes=changes, out=Path("further"), console=QUIET
    )
    before, after = (json.loads(line) for line in (further / "metrics.jsonl").read_text().splitlines())
    assert before["epoch"] == 0
    assert (before["val_war"], before["val_uar"]) == (evaluated["war"], evaluated["uar"])
    assert "train_loss" not in before
    assert after["val_loss"] != before["val_loss"]
    assert read_run(further).origin["best_epoch"] == "1"  # what it started from is not its own


@pytest.mark.slow(seconds=3)
def test_a_run_of_ours(workspace: Path) -> None:
    torch.manual_seed(0)
    info = RunInfo(
        name="ours",
        stage="video",
        labels=("fall", "rise", "still"),
        fps=4.0,
        crop=CropRecipe(size=SIZE),
        model=VIDEO,
    )
    save_run(Path("ours"), info, S2D(VIDEO))
    rng = np.random.default_rng(0)
    pictures = [workspace / f"{k}.png" for k in range(VALIDATED + 3)]
    for path in pictures:
        cv2.imwrite(str(path), rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8))
    _check_that_a_training_starts_at_the_score_of(Path("ours"), pictures)


@pytest.mark.slow(seconds=12)
def test_an_official_checkpoint(workspace: Path, shared_data: Path) -> None:
    run = import_run(
        shared_data / "parity/s2d_small_official.pth",
        landmark=shared_data / "landmark/mobilefacenet_300w.pth",
        labels="dfew",
        heads=4,
        console=QUIET,
    )
    faces = sorted((shared_data / "faces").rglob("*.jpg"))
    _check_that_a_training_starts_at_the_score_of(
        run, faces[:: len(faces) // (VALIDATED + 7)][: VALIDATED + 7]
    )
