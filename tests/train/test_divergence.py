"""A training that diverges ends with a sentence, and keeps what was good before."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch

from s2d_edge.core.errors import TrainingError
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.s2d import S2D
from s2d_edge.train.landmark import teaching
from s2d_edge.train.landmark.faces import FacePool
from s2d_edge.train.landmark.teaching import teach
from s2d_edge.train.loop.divergence import DivergenceError, require_finite_weights
from s2d_edge.train.loop.loop import StageTraining
from s2d_edge.train.loop.validate import validate
from s2d_edge.train.plan.settings import LandmarkSettings, StageSettings
from s2d_edge.train.processes import Processes
from s2d_edge.train.record.progress import METRICS, RESUME, load_snapshot, save_snapshot
from tests.train.tiny import IMAGE, StopAfter, alone, job, noisy_clips
from tests.train.tiny import feed as make_feed

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

# Two steps an epoch.
SETTINGS = StageSettings(epochs=3, batch_clips=4, lr=1e-3, warmup_epochs=0, dropout=0)


def _spoil(model: S2D) -> None:
    with torch.no_grad():
        model.head.weight[0, 0] = math.nan


def _spoilt_at(training: StageTraining, step: int, spoil: Callable[[S2D], None] = _spoil) -> StageTraining:
    """The training, with weights that are spoilt by its n-th step."""
    learner, left = training._step.learner, [step]
    right = learner.step

    def wrong(lr: float) -> None:
        right(lr)
        left[0] -= 1
        if not left[0]:
            spoil(training.job.model)

    learner.step = wrong  # type: ignore[method-assign]
    return training


@pytest.mark.parametrize("step", [4, 6], ids=["in the middle", "in the last epoch"])
@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_spoilt_weights_never_become_the_best(tmp_path: Path, step: int, ema: float) -> None:
    run = tmp_path / "run"
    work = job(run, replace(SETTINGS, ema=ema), noisy_clips(8), noisy_clips(4))
    with pytest.raises(TrainingError, match=rf"epoch {step // 2} \(head\.weight\).* --init {run} ") as caught:
        _spoilt_at(StageTraining(work), step).run()
    assert "\n" not in str(caught.value)
    model, info = load_run(run)  # which refuses weights that are not finite
    assert f"keeps the weights of epoch {info.origin['best_epoch']}," in str(caught.value)
    require_finite_weights(model, "the run")
    lines = (run / METRICS).read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, step // 2))
    assert load_snapshot(run).progress.epoch == step // 2 - 1


def test_a_spoilt_moving_average_alone_is_found(tmp_path: Path) -> None:
    work = job(tmp_path / "run", replace(SETTINGS, ema=0.5), noisy_clips(8), noisy_clips(4))
    training = StageTraining(work)
    with pytest.raises(TrainingError, match=r"head\.weight"):
        _spoilt_at(training, 2, lambda model: _spoil(cast(S2D, training._kept_model))).run()


@pytest.mark.parametrize("how", ["a snapshot", "a stop"])
def test_spoilt_weights_are_not_saved_within_an_epoch(tmp_path: Path, how: str) -> None:
    run = tmp_path / "run"
    interrupt = StopAfter(4) if how == "a stop" else None  # looked at in the third step, which is spoilt
    work = job(run, SETTINGS, noisy_clips(8), noisy_clips(4), interrupt=interrupt)
    if how == "a snapshot":
        work = replace(work, snapshot_minutes=1e-9)
    with pytest.raises(TrainingError, match=r"epoch 2 \(head\.weight\)"):
        _spoilt_at(StageTraining(work), 3).run()
    assert all(value.isfinite().all() for value in load_snapshot(run).model.values())
    load_run(run)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_no_score(value: float) -> None:
    torch.manual_seed(0)
    model, clips = S2D(IMAGE), noisy_clips(4)
    model.classify = lambda features: torch.tensor([[0.0, 1.0, value]]).expand(len(features), -1)  # type: ignore[method-assign]
    feed = make_feed(clips, single_frames=True)
    with pytest.raises(DivergenceError, match="clip-0"):
        validate(model, feed, Processes("cpu"), shares={"tiny": 1.0}, batch_clips=3, after_batch=lambda: None)


def test_logits_that_overflow_end_the_training_with_finite_weights(tmp_path: Path) -> None:
    def enlarge(model: S2D) -> None:
        with torch.no_grad():
            model.head.weight.fill_(3e38)

    work = job(tmp_path / "run", replace(SETTINGS, epochs=1), noisy_clips(8), noisy_clips(4))
    with pytest.raises(TrainingError, match="clip-0"):
        _spoilt_at(StageTraining(work), 2, enlarge).run()
    assert not (work.folder / "weights.safetensors").exists()


def test_an_unclipped_gradient_is_named(tmp_path: Path) -> None:
    work = job(tmp_path / "run", replace(SETTINGS, clip_norm=0), noisy_clips(8), noisy_clips(4))
    with pytest.raises(TrainingError, match=r"nan .* image\.clip_norm=1"):
        _spoilt_at(StageTraining(work), 1).run()


def test_metrics_of_an_older_training_become_json(tmp_path: Path) -> None:
    """An older version kept NaN in its history; resumed, it writes null."""
    training = StageTraining(job(tmp_path, replace(SETTINGS, epochs=1), noisy_clips(4), noisy_clips(4)))
    training.progress.history.append({"epoch": 1, "val_loss": math.nan, "lr": math.inf, "val_war": 0.5})
    save_snapshot(tmp_path, training._snapshot())
    text = (tmp_path / METRICS).read_text()
    assert json.loads(text) == {"epoch": 1, "val_loss": None, "lr": None, "val_war": 0.5}
    assert "NaN" not in text
    assert (tmp_path / RESUME).is_file()


def _teach(points: torch.Tensor) -> None:
    pictures = torch.randint(256, (4, 32, 32, 3), dtype=torch.uint8)
    teach(
        IMAGE.landmark,
        FacePool(pictures=pictures, points=points),
        LandmarkSettings(steps=1, batch_frames=2),
        0,
        alone(),
    )


def test_a_landmark_network_that_diverges_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.rand(4, 68, 2)
    with pytest.raises(TrainingError, match=r"landmark\.lr"):
        _teach(points / 0)
    monkeypatch.setattr(teaching, "learning_rate", lambda step, **how: math.nan)
    with pytest.raises(DivergenceError, match=r"conv1\.conv\.weight"):
        _teach(points)
