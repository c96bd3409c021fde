"""The loop: it learns, stops on request, and resumes as if it had never stopped."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from s2d_edge.core.console import Advance, Console
from s2d_edge.core.errors import CheckpointError, TrainingError
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.s2d import S2D
from s2d_edge.train.context import InterruptGuard
from s2d_edge.train.loop.job import Job
from s2d_edge.train.loop.loop import StageTraining
from s2d_edge.train.loop.validate import validate
from s2d_edge.train.plan.settings import AugmentSettings, SdlSettings, StageSettings
from s2d_edge.train.processes import Processes
from s2d_edge.train.record.progress import LAST_WEIGHTS, METRICS, RESUME, load_snapshot
from tests.train.tiny import STILL, VIDEO, StopAfter, alone, clips, job, noisy_clips, ramp_clips
from tests.train.tiny import feed as make_feed

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

# Everything random is on: dropout, augmentation, class balance.
SETTINGS = StageSettings(epochs=3, batch_clips=4, lr=1e-3, warmup_epochs=1, dropout=0.3, balance=0.5)
# And what else keeps a state: anchors from the first epoch on, a moving average.
DISTILLED = replace(
    SETTINGS, ema=0.5, layer_decay=0.8, sdl=SdlSettings(weight=1.0, starts=(0.0,), shares=(1.0,), queue=3)
)
MIXED = replace(SETTINGS, augment=AugmentSettings(crop=0.7, mixup=0.8, cutmix=1.0))


class BarsBegun(Console):
    """Notes where each bar begins."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self.begun: list[tuple[str, int | None, int]] = []

    @contextmanager
    def progress(self, description: str, total: int | None, done: int = 0) -> Iterator[Advance]:
        """Note it."""
        self.begun.append((description, total, done))
        with super().progress(description, total, done) as advance:
            yield advance


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A training that nothing interrupted; tests read it."""

    settings: StageSettings
    video: bool
    training: StageTraining

    def job_in(self, folder: Path, interrupt: InterruptGuard | None = None) -> Job:
        """This job, before it has begun."""
        return _whole_job(folder, self.settings, self.video, interrupt)


def _whole_job(folder: Path, settings: StageSettings, video: bool, interrupt: InterruptGuard | None) -> Job:
    data, held_out = noisy_clips(10), noisy_clips(4, seed=9)
    return job(folder, settings, data, held_out, video=video, interrupt=interrupt)


def _weights(model: S2D) -> torch.Tensor:
    return torch.cat([value.double().flatten() for value in model.state_dict().values()])


@pytest.fixture(
    scope="module",
    params=itertools.product(("plain", "distilled", "mixed"), ("image", "video")),
    ids="-".join,
)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    kind, stage = request.param
    settings = {"plain": SETTINGS, "distilled": DISTILLED, "mixed": MIXED}[kind]
    training = StageTraining(_whole_job(tmp_path_factory.mktemp("whole"), settings, stage == "video", None))
    training.run()
    return Whole(settings=settings, video=stage == "video", training=training)


@pytest.mark.slow(seconds=10)
@pytest.mark.parametrize("looks", [2, 4, 6], ids=["in an epoch", "at validation", "in the next epoch"])
def test_a_resumed_training_ends_in_the_very_weights_of_a_whole_one(
    whole: Whole, tmp_path: Path, looks: int
) -> None:
    parted = tmp_path / "parted"
    first = StageTraining(whole.job_in(parted, StopAfter(looks)))
    with pytest.raises(KeyboardInterrupt):
        first.run()
    second = StageTraining(whole.job_in(parted))
    second.restore(load_snapshot(parted))
    assert (second.progress.epoch, second.progress.step) != (0, 0)
    second.run()

    wanted = whole.training
    assert torch.equal(_weights(wanted.job.model), _weights(second.job.model))
    assert torch.equal(_weights(load_run(wanted.job.folder)[0]), _weights(load_run(parted)[0]))
    for ours, theirs in zip(second.progress.history, wanted.progress.history, strict=True):
        assert ours | {"seconds": 0} == theirs | {"seconds": 0}


@pytest.mark.slow(seconds=2)
def test_a_snapshot_within_an_epoch_survives_a_crash_and_continues_exactly(tmp_path: Path) -> None:
    data, held_out = noisy_clips(10), noisy_clips(4, seed=9)
    whole = StageTraining(job(tmp_path / "whole", SETTINGS, data, held_out))
    whole.run()

    class Crash(InterruptGuard):
        """Raises when looked at for the seventh time, in the third step of the second epoch."""

        looks = 0

        @property
        def requested(self) -> bool:
            self.looks += 1
            if self.looks == 7:
                raise MemoryError
            return False

        @requested.setter
        def requested(self, value: bool) -> None:
            assert not value

    work = job(tmp_path / "crashed", SETTINGS, data, held_out, interrupt=Crash())
    work = replace(work, snapshot_minutes=1e-9)
    with pytest.raises(MemoryError):
        StageTraining(work).run()
    snapshot = load_snapshot(tmp_path / "crashed")
    assert (snapshot.progress.epoch, snapshot.progress.step) == (1, 2)
    console = BarsBegun(quiet=True)
    again = StageTraining(job(tmp_path / "crashed", SETTINGS, data, held_out, context=alone(console=console)))
    again.restore(snapshot)
    again.run()
    assert console.begun == [("image epoch 2/3", 3, 2), ("image epoch 3/3", 3, 0)]
    assert torch.equal(_weights(whole.job.model), _weights(again.job.model))


@pytest.mark.slow(seconds=3)
@pytest.mark.parametrize("accumulate", [2, 3, 9])
def test_a_batch_in_parts_gives_the_step_of_the_whole_batch(tmp_path: Path, accumulate: int) -> None:
    still = replace(DISTILLED, dropout=0, epochs=2)
    trained = []
    for name, settings in (("whole", still), ("parts", replace(still, accumulate=accumulate))):
        training = StageTraining(job(tmp_path / name, settings, noisy_clips(10), noisy_clips(4)))
        training.run()
        trained.append(training)
    for ours, theirs in zip(trained[1].progress.history, trained[0].progress.history, strict=True):
        assert ours | {"seconds": 0} == pytest.approx(theirs | {"seconds": 0}, rel=1e-4)
    difference = _weights(trained[1].job.model) - _weights(trained[0].job.model)
    assert difference.norm() < 2e-3  # training moves them by about 1


def test_a_snapshot_of_another_training_is_refused(tmp_path: Path) -> None:
    first = StageTraining(job(tmp_path / "run", replace(SETTINGS, epochs=1), noisy_clips(4), noisy_clips(4)))
    first.run()
    other = StageTraining(job(tmp_path / "run", SETTINGS, noisy_clips(4), noisy_clips(4), video=True))
    with pytest.raises(CheckpointError, match=str(tmp_path / "run")):
        other.restore(load_snapshot(tmp_path / "run"))


def test_the_run_folder_holds_best_and_last_weights_and_a_line_per_epoch(tmp_path: Path) -> None:
    training = StageTraining(job(tmp_path / "run", SETTINGS, noisy_clips(10), noisy_clips(6, seed=3)))
    training.run()
    lines = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert {"lr", "train_loss", "val_loss", "val_war", "val_uar", "seconds"} < set(lines[0])
    assert lines[0]["lr"] > lines[-1]["lr"] > 0
    assert (tmp_path / "run" / LAST_WEIGHTS).is_file()
    for picture in ("learning-curve.png", "confusion.png"):
        assert (tmp_path / "run" / picture).read_bytes().startswith(b"\x89PNG")
    assert sum(map(sum, training.progress.confusion)) == 6
    _, info = load_run(tmp_path / "run")
    best = max(lines, key=lambda line: (line["val_war"], line["val_uar"], -line["val_loss"]))
    assert info.origin["best_epoch"] == str(best["epoch"])


@pytest.mark.slow(seconds=5)
def test_the_video_stage_learns_the_order_of_frames_and_leaves_the_backbone_alone(tmp_path: Path) -> None:
    settings = StageSettings(
        epochs=8, batch_clips=8, lr=1e-2, warmup_epochs=0.5, dropout=0, label_smoothing=0, augment=STILL
    )
    torch.manual_seed(0)
    model = S2D(replace(VIDEO, classes=2))
    model.freeze_backbone()
    before = {name: value.clone() for name, value in model.vit.blocks.state_dict().items()}
    training = StageTraining(
        job(tmp_path / "run", settings, ramp_clips(64), ramp_clips(32, seed=1), video=True, model=model)
    )
    training.run()
    assert training.progress.best[0] >= 0.95
    assert all(torch.equal(before[name], value) for name, value in model.vit.blocks.state_dict().items())


def test_the_best_epoch_may_be_chosen_by_uar(tmp_path: Path) -> None:
    settings = replace(SETTINGS, select="uar")
    training = StageTraining(job(tmp_path / "run", settings, noisy_clips(8), noisy_clips(5)))
    training.run()
    assert training.progress.best[0] == max(record["val_uar"] for record in training.progress.history)


def test_the_moving_average_is_saved_if_one_is_requested(tmp_path: Path) -> None:
    """With a decay near 1 the average hardly leaves the first step's weights, whatever is trained."""
    kept, trained = {}, {}
    for ema in (0.0, 0.999):
        settings = replace(SETTINGS, epochs=2, ema=ema)
        work = job(tmp_path / f"ema-{ema}", settings, noisy_clips(8), noisy_clips(4))
        begin = _weights(work.model)
        StageTraining(work).run()
        trained[ema] = (_weights(work.model) - begin).norm()
        last = S2D(work.model.config)
        last.load_state_dict(load_file(work.folder / LAST_WEIGHTS))
        kept[ema] = (_weights(last) - begin).norm()
    assert trained[0.0] == trained[0.999] == kept[0.0]
    assert 0 < kept[0.999] < 0.5 * trained[0.999]


@pytest.mark.slow(seconds=3)
def test_layer_decay_holds_the_first_layers_back(tmp_path: Path) -> None:
    moved = {}
    for decay in (1.0, 1e-4):
        work = job(
            tmp_path / f"{decay}", replace(SETTINGS, layer_decay=decay), noisy_clips(8), noisy_clips(4)
        )
        begin = work.model.vit.patch_embed.proj.weight.detach().clone()
        StageTraining(work).run()
        moved[decay] = float((work.model.vit.patch_embed.proj.weight.detach() - begin).abs().max())
    assert moved[1.0] > 1e-4
    assert moved[1e-4] < 1e-6 * moved[1.0]


@pytest.mark.slow(seconds=3)
def test_landmark_features_learn_at_their_share_of_the_rate_and_points_stay(tmp_path: Path) -> None:
    moved = {}
    for share in (1.0, 1e-3):
        settings = replace(SETTINGS, landmark_lr=share)
        work = job(tmp_path / f"{share}", settings, noisy_clips(8), noisy_clips(4))
        work.model.landmark.tune_features()
        network = work.model.landmark
        begin = {name: value.clone() for name, value in network.state_dict().items()}
        StageTraining(work).run()
        moved[share] = {
            name: float((value - begin[name]).abs().max())
            for name, value in network.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
    features = [
        name for name in moved[1.0] if name.startswith(("conv1.", "conv_4.")) and "conv.weight" in name
    ]
    assert features
    for name in features:
        assert moved[1.0][name] > 1e-4
        assert moved[1e-3][name] < 0.01 * moved[1.0][name]
    still = ("conv_45.", "conv_5.", "conv_6_sep.", "output_layer.")
    assert not any(far for name, far in moved[1.0].items() if name.startswith(still) or "running" in name)


@pytest.mark.slow(seconds=3)
def test_anchors_change_the_training_once_their_time_has_come(tmp_path: Path) -> None:
    weights = {}
    for name, sdl in (
        ("off", SdlSettings()),
        ("late", SdlSettings(weight=1.0, starts=(1.0,), shares=(1.0,))),
        ("on", SdlSettings(weight=1.0, starts=(0.5,), shares=(1.0,))),
    ):
        work = job(tmp_path / name, replace(SETTINGS, sdl=sdl), noisy_clips(8), noisy_clips(4))
        StageTraining(work).run()
        weights[name] = _weights(work.model)
    assert torch.equal(weights["off"], weights["late"])
    assert not torch.equal(weights["off"], weights["on"])


def test_a_loss_that_is_no_number_stops_and_names_the_clips(tmp_path: Path) -> None:
    work = job(tmp_path / "run", SETTINGS, noisy_clips(8), noisy_clips(4))
    with torch.no_grad():
        work.model.head.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match=r"epoch 1, step 1 .*clip-\d+.*image\.lr"):
        StageTraining(work).run()
    assert not (tmp_path / "run" / "weights.safetensors").exists()


def test_a_step_that_does_not_fit_into_memory_says_what_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*given: object, **how: object) -> None:
        torch.empty(2**60)  # bytes that no machine has

    def other(*given: object, **how: object) -> None:
        raise RuntimeError("a bug")

    training = StageTraining(job(tmp_path / "run", SETTINGS, noisy_clips(4), noisy_clips(4)))
    monkeypatch.setattr(training._step, "take", too_large)
    with pytest.raises(TrainingError, match=r"image\.batch_clips=4 .*--set image\.accumulate=2"):
        training.run()
    monkeypatch.setattr(training._step, "take", other)
    with pytest.raises(RuntimeError, match="a bug"):
        training.run()


def test_a_damaged_or_missing_snapshot_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=RESUME):
        load_snapshot(tmp_path)
    (tmp_path / RESUME).write_bytes(b"not a snapshot")
    with pytest.raises(CheckpointError, match=RESUME):
        load_snapshot(tmp_path)


def test_a_clips_prediction_is_the_mean_over_its_windows(tmp_path: Path) -> None:
    frames = np.random.default_rng(2).integers(0, 256, (4, 4, 32, 32, 3), dtype=np.uint8)
    # Two clips of two windows each.
    two = replace(
        clips(frames, [0, 1, 2, 0]),
        first_window=np.array([0, 2, 4]),
        labels=np.array([0, 1]),
        sources=np.array([0, 0]),
        names=("a", "b"),
    )
    torch.manual_seed(3)
    model = S2D(VIDEO).eval()
    with torch.inference_mode():
        each = torch.softmax(model(torch.from_numpy(frames)), dim=1).numpy()
    mean = each.reshape(2, 2, 3).mean(axis=1)
    score = validate(
        model,
        make_feed(two),
        Processes("cpu"),
        shares={"tiny": 1.0},
        batch_clips=3,
        after_batch=lambda: None,
    )
    assert score.loss == pytest.approx(float(-np.log(mean[[0, 1], [0, 1]]).mean()), rel=1e-4)
    assert score.war == np.mean(mean.argmax(axis=1) == [0, 1])
