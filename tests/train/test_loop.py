"""The loop: it learns, it stops where asked, and it goes on as if it had never stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from s2d_edge.console import Console
from s2d_edge.errors import CheckpointError, TrainingError
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.s2d import S2D
from s2d_edge.train.feed import Feed
from s2d_edge.train.interrupt import InterruptGuard
from s2d_edge.train.loop import StageTraining
from s2d_edge.train.progress import LAST_WEIGHTS, METRICS, RESUME, load_snapshot
from s2d_edge.train.settings import StageSettings
from s2d_edge.train.validate import validate
from tests.train.tiny import STILL, VIDEO, StopAfter, clips, job, noisy_clips, ramp_clips

QUIET = Console(quiet=True)
# Everything random is on: dropout, augmentation, class balance.
SETTINGS = StageSettings(epochs=3, batch_clips=4, lr=1e-3, warmup_epochs=1, dropout=0.3, balance=0.5)


def _weights(model: S2D) -> torch.Tensor:
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])


@pytest.mark.parametrize("video", [False, True], ids=["image", "video"])
@pytest.mark.parametrize("asked", [2, 4, 6], ids=["in an epoch", "at validation", "in the next epoch"])
def test_a_resumed_training_ends_in_the_very_weights_of_a_whole_one(
    tmp_path: Path, video: bool, asked: int
) -> None:
    data, held_out = noisy_clips(10), noisy_clips(4, seed=9)
    whole = StageTraining(
        job(tmp_path / "whole", SETTINGS, data, held_out, video=video), InterruptGuard(), QUIET
    )
    whole.run()

    parted = tmp_path / "parted"
    first = StageTraining(job(parted, SETTINGS, data, held_out, video=video), StopAfter(asked), QUIET)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    second = StageTraining(job(parted, SETTINGS, data, held_out, video=video), InterruptGuard(), QUIET)
    second.restore(load_snapshot(parted))
    assert (second.progress.epoch, second.progress.step) != (0, 0)
    second.run()

    assert torch.equal(_weights(whole.job.model), _weights(second.job.model))
    assert torch.equal(_weights(load_run(tmp_path / "whole")[0]), _weights(load_run(parted)[0]))
    for ours, theirs in zip(second.progress.history, whole.progress.history, strict=True):
        assert ours | {"seconds": 0} == theirs | {"seconds": 0}


def test_the_run_folder_holds_best_and_last_weights_and_a_line_per_epoch(tmp_path: Path) -> None:
    training = StageTraining(
        job(tmp_path / "run", SETTINGS, noisy_clips(10), noisy_clips(6, seed=3)), InterruptGuard(), QUIET
    )
    training.run()
    lines = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert {"lr", "train_loss", "val_loss", "val_war", "val_uar", "seconds"} < set(lines[0])
    assert lines[0]["lr"] > lines[-1]["lr"] > 0
    assert (tmp_path / "run" / LAST_WEIGHTS).is_file()
    assert (tmp_path / "run" / "learning-curve.png").read_bytes().startswith(b"\x89PNG")
    _, info = load_run(tmp_path / "run")
    best = max(lines, key=lambda line: (line["val_war"], line["val_uar"], -line["val_loss"]))
    assert info.origin["best_epoch"] == str(best["epoch"])


def test_the_video_stage_learns_the_order_of_frames_and_leaves_the_backbone_alone(tmp_path: Path) -> None:
    settings = StageSettings(
        epochs=8, batch_clips=8, lr=1e-2, warmup_epochs=0.5, dropout=0, label_smoothing=0, augment=STILL
    )
    torch.manual_seed(0)
    model = S2D(replace(VIDEO, classes=2))
    model.freeze_backbone()
    before = {name: value.clone() for name, value in model.vit.blocks.state_dict().items()}
    training = StageTraining(
        job(tmp_path / "run", settings, ramp_clips(64), ramp_clips(32, seed=1), video=True, model=model),
        InterruptGuard(),
        QUIET,
    )
    training.run()
    assert training.progress.best[0] >= 0.95
    assert all(torch.equal(before[name], value) for name, value in model.vit.blocks.state_dict().items())


def test_the_best_epoch_may_be_chosen_by_uar(tmp_path: Path) -> None:
    settings = replace(SETTINGS, select="uar")
    training = StageTraining(
        job(tmp_path / "run", settings, noisy_clips(8), noisy_clips(5)), InterruptGuard(), QUIET
    )
    training.run()
    assert training.progress.best[0] == max(record["val_uar"] for record in training.progress.history)


def test_a_loss_that_is_no_number_stops_and_names_the_clips(tmp_path: Path) -> None:
    work = job(tmp_path / "run", SETTINGS, noisy_clips(8), noisy_clips(4))
    with torch.no_grad():
        work.model.head.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match=r"nan in epoch 1, step 1 on clip-\d+.*lower image\.lr"):
        StageTraining(work, InterruptGuard(), QUIET).run()
    assert not (tmp_path / "run" / "weights.safetensors").exists()


def test_a_damaged_or_missing_snapshot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        load_snapshot(tmp_path)
    (tmp_path / RESUME).write_bytes(b"not a snapshot")
    with pytest.raises(CheckpointError, match="damaged"):
        load_snapshot(tmp_path)


def test_a_clips_answer_is_the_mean_over_its_windows(tmp_path: Path) -> None:
    frames = np.random.default_rng(2).integers(0, 256, (4, 4, 32, 32, 3), dtype=np.uint8)
    # Two clips of two windows each.
    two = replace(
        clips(frames, [0, 1, 2, 0]),
        first_window=np.array([0, 2, 4]),
        labels=np.array([0, 1]),
        names=("a", "b"),
    )
    torch.manual_seed(3)
    model = S2D(VIDEO).eval()
    with torch.inference_mode():
        each = torch.softmax(model(torch.from_numpy(frames)), dim=1).numpy()
    mean = each.reshape(2, 2, 3).mean(axis=1)
    score = validate(
        model,
        Feed(clips=two, single_frames=False, maps=None),
        torch.device("cpu"),
        batch_clips=3,
        after_batch=lambda: None,
    )
    assert score.loss == pytest.approx(float(-np.log(mean[[0, 1], [0, 1]]).mean()), rel=1e-4)
    assert score.war == np.mean(mean.argmax(axis=1) == [0, 1])
