"""``train`` from end to end on a few drawn blobs: two stages, resuming, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from s2d_edge.contracts.labels import DEFAULT_FPS
from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.contracts.runs import WEIGHTS, read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError, DataError, DeviceError, S2DEdgeError
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.open import AVATARS, open_dataset
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.landmark import MobileFaceNet
from s2d_edge.model.s2d import S2D
from s2d_edge.model.temporal import TemporalAdapter
from s2d_edge.train import command
from s2d_edge.train.command import train
from s2d_edge.train.plan.start import usual_fps
from s2d_edge.train.supply import landmark_maps, supply
from s2d_edge.train.supply.landmark_maps import LandmarkMaps
from tests.models import TINY, write_random_run
from tests.processes import environment, wait_until
from tests.train.killed import WAITING
from tests.train.tiny import IMAGE, VIDEO, stopped_after, write_landmark

# Slow together, for what they share.
pytestmark = [pytest.mark.slow(seconds=1), pytest.mark.usefixtures("undrawn")]

QUIET = Console(quiet=True)
LABELS = ("fall", "rise", "still")
FAST = ("workers=1", "image.batch_clips=4", "video.batch_clips=4", "image.epochs=2", "video.epochs=2")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``data`` folder of twelve frame folders of six people, and beside it a cache they share."""
    root = tmp_path_factory.mktemp("drawn")
    rng = np.random.default_rng(0)
    rows = []
    for k in range(12):
        folder = root / "data" / "clips" / f"{k:02d}"
        folder.mkdir(parents=True)
        for t in range(4):
            picture = rng.integers(0, 60, (32, 32, 3), dtype=np.uint8) + 40 * (t if k % 3 else 3 - t)
            cv2.imwrite(str(folder / f"{t}.png"), picture)
        rows.append((f"clips/{k:02d}", LABELS[k % 3], f"p{k // 2}"))
    with (root / "data" / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "subject"), *rows])
    return root


@pytest.fixture
def data(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The drawn data, a working directory for this test alone, and a tiny model as the default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(drawn / "cache"))
    monkeypatch.setitem(PRESETS, "demo", VIDEO)
    return drawn / "data"


@pytest.fixture
def landmark(tmp_path: Path) -> Path:
    """Random landmark weights of the tiny sizes."""
    return write_landmark(tmp_path / "landmark.safetensors")


def _options(data: Path, landmark: Path | None, /, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"data": str(data), "landmark": landmark, "changes": FAST}
    return given | more


@pytest.mark.slow(seconds=3)
def test_both_stages_run_and_the_second_grows_out_of_the_first(data: Path, landmark: Path) -> None:
    folders = train(**_options(data, landmark), console=QUIET)
    assert folders == [Path("runs/data-demo-image"), Path("runs/data-demo-video")]
    image, image_info = load_run(folders[0])
    video, video_info = load_run(folders[1])
    assert (image_info.stage, video_info.stage) == ("image", "video")
    assert image_info.labels == video_info.labels == LABELS
    assert video_info.model.frames == 4
    assert video_info.origin["init"] == str(folders[0])
    assert video_info.settings["settings"]["video"]["epochs"] == 2
    for name, value in image.vit.blocks.state_dict().items():
        assert torch.equal(value, video.vit.blocks.state_dict()[name])
    assert not torch.equal(image.head.weight, video.head.weight)
    # A second command never overwrites the first one's runs.
    again = train(**_options(data, landmark, stage="image", epochs=1), console=QUIET)
    assert again == [Path("runs/data-demo-2-image")]


@pytest.mark.slow(seconds=4)
def test_an_interrupted_image_stage_resumes_and_the_video_stage_follows(
    data: Path, landmark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train(**_options(data, landmark, out=Path("whole")), console=QUIET)
    with stopped_after(2):
        train(**_options(data, landmark, out=Path("parted")), console=QUIET)
    said = " ".join(capsys.readouterr().err.split())
    assert "continue with: s2d-edge train --resume parted-image" in said
    with pytest.raises(CheckpointError, match=WEIGHTS):
        load_run(Path("parted-image"))
    parted = train(resume=Path("parted-image"), console=QUIET)
    assert parted == [Path("parted-image"), Path("parted-video")]
    for ours, theirs in zip(parted, whole, strict=True):
        assert (ours / WEIGHTS).read_bytes() == (theirs / WEIGHTS).read_bytes()
    with pytest.raises(ConfigError, match=r"parted-image.*parted-video"):
        train(resume=parted[0], console=QUIET)
    with pytest.raises(ConfigError, match="--init parted-video"):
        train(resume=parted[1], console=QUIET)


@pytest.mark.slow(seconds=3)
def test_a_killed_training_resumes_to_the_very_bytes_of_a_whole_one(data: Path, landmark: Path) -> None:
    (whole,) = train(**_options(data, landmark, stage="image", epochs=4, out=Path("whole")), console=QUIET)
    command_line = [sys.executable, "-m", "tests.train.killed", str(data), str(landmark), "killed", *FAST]
    threads = str(torch.get_num_threads())  # equal bytes take equal sums
    started = environment(OMP_NUM_THREADS=threads)
    with subprocess.Popen(command_line, env=started) as training:
        wait_until(Path(WAITING).exists, training)
        training.kill()
    assert training.returncode == -signal.SIGKILL
    train(resume=Path("killed"), console=QUIET)
    for name in ("weights.safetensors", "last.safetensors"):
        assert Path("killed", name).read_bytes() == Path(whole, name).read_bytes()
    histories = [
        [json.loads(line) | {"seconds": 0} for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (whole, Path("killed"))
    ]
    assert histories[0] == histories[1]
    starts = json.loads(Path("killed/environment.json").read_text())["starts"]
    assert [start["epochs_done"] for start in starts] == [0, 2]


@pytest.mark.slow(seconds=3)
def test_a_causal_stage_grows_out_of_a_bidirectional_run_and_follows_it(data: Path, landmark: Path) -> None:
    _, both = train(**_options(data, landmark, out=Path("both")), console=QUIET)
    causal: dict[str, Any] = {"data": str(data), "stage": "video", "changes": FAST, "init": both}
    (alone,) = train(**causal, temporal="causal", console=QUIET)
    (taught,) = train(**causal, temporal="causal", teacher=[both], console=QUIET)
    for run in (alone, taught):
        assert read_run(run).model.causal
        assert read_run(run).model.frames == read_run(both).model.frames
    losses = [
        json.loads((run / "metrics.jsonl").read_text().splitlines()[1])["train_loss"]
        for run in (alone, taught)
    ]
    assert losses[1] != losses[0]  # the teacher's loss is in it
    assert read_run(taught).settings["teacher"] == str(both.resolve())
    (further,) = train(data=str(data), stage="video", changes=FAST, init=taught, console=QUIET)
    assert read_run(further).model.causal  # as --init has it, unless --temporal is given
    with pytest.raises(CheckpointError, match="--temporal causal"):
        train(**(causal | {"init": taught}), temporal="bidirectional", console=QUIET)
    changes = (*FAST, "temporal_contrast=true", "video.lr=1e-9", "video.weight_decay=0")
    contrast = causal | {"changes": changes, "init": Path("both-image")}
    with pytest.raises(ConfigError, match="--temporal causal"):
        train(**contrast, console=QUIET)
    (moved,) = train(**contrast, temporal="causal", console=QUIET)
    for adapter in load_run(moved)[0].adapters:
        assert isinstance(adapter, TemporalAdapter)
        one, other = adapter.time_attn.proj.weight.unflatten(1, (2, -1)).unbind(1)  # of two heads
        assert torch.allclose(one, -other, atol=1e-6)
    before = set(Path("runs").iterdir())
    with pytest.raises(ConfigError, match=r"--teacher .*both-image"):
        train(**causal, teacher=[Path("both-image")], console=QUIET)
    with pytest.raises(ConfigError, match="2 frames"):  # also before a first, image stage
        train(data=str(data), changes=FAST, init=Path("both-image"), frames=2, teacher=[both], console=QUIET)
    assert set(Path("runs").iterdir()) == before


def test_cached_landmark_maps_change_next_to_nothing(data: Path, landmark: Path) -> None:
    still = tuple(f"image.augment.{name}=0" for name in ("flip", "rotate_deg", "scale", "shift", "erase"))
    losses = []
    for cached in ("true", "false"):
        changes = (*FAST, *still, f"cache_landmarks={cached}")
        (run,) = train(**_options(data, landmark, stage="image", changes=changes, epochs=1), console=QUIET)
        losses.append(json.loads((run / "metrics.jsonl").read_text())["train_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)


def test_a_tuned_landmark_network_is_kept_and_the_video_stage_looks_through_it(
    data: Path, landmark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    sides: list[int] = []
    compute = landmark_maps.compute_maps

    def watch(model: S2D, *given: Any, **options: Any) -> LandmarkMaps:
        seen.append(model.landmark.conv1.conv.weight.detach().clone())
        maps = compute(model, *given, **options)
        sides.append(maps.values.shape[1])
        return maps

    monkeypatch.setattr(supply, "compute_maps", watch)
    changes = (*FAST, "image.landmark_lr=0.5", "image.lr=1e-3", "cache_landmarks=true")
    image, video = train(**_options(data, landmark, changes=changes), console=QUIET)
    given = load_file(landmark)["conv1.conv.weight"]
    tuned = load_run(image)[0].landmark.conv1.conv.weight
    assert not torch.equal(tuned, given)
    assert torch.equal(load_run(video)[0].landmark.conv1.conv.weight, tuned)
    assert sides == [2, 1]  # only training mirrors
    assert len(seen) == 2  # training and validation clips of the video stage; the image stage keeps no maps
    assert all(torch.equal(each, tuned) for each in seen)


@pytest.mark.slow(seconds=3)
def test_a_fresh_head_alone_starts_at_its_scale(data: Path, landmark: Path) -> None:
    hardly = (*FAST, "image.lr=1e-9", "video.lr=1e-9", "image.weight_decay=0", "video.weight_decay=0")
    started = []
    for scale in (1, 10):
        changes = (*hardly, f"head_scale={scale}")
        folders = train(**_options(data, landmark, changes=changes, epochs=1), console=QUIET)
        started.append([load_run(folder)[0].head.weight for folder in folders])
    (image, _), (scaled, kept) = started
    assert torch.allclose(scaled, 10 * image, atol=1e-6)
    assert torch.allclose(kept, scaled, atol=1e-6)  # the image stage's head goes on as it is


def test_the_video_stage_alone_starts_from_the_newest_image_run(data: Path, landmark: Path) -> None:
    with pytest.raises(CheckpointError, match="--stage image"):
        train(**_options(data, landmark, stage="video"), console=QUIET)
    (image,) = train(**_options(data, landmark, stage="image", epochs=1), console=QUIET)
    (video,) = train(data=str(data), stage="video", changes=FAST, frames=2, console=QUIET)
    info = read_run(video)
    assert info.origin["init"] == str(image)
    assert info.model.frames == 2
    assert info.model.landmark == read_run(image).model.landmark


@pytest.mark.slow(seconds=3)
def test_a_training_continues_at_another_size_of_picture(data: Path, landmark: Path) -> None:
    stages = [
        _options(data, landmark, stage="image", epochs=1, image_size=64, out=Path("image")),
        _options(data, None, stage="video", frames=2, init=Path("image"), epochs=1, out=Path("video")),
        _options(data, None, stage="image", init=Path("image"), image_size=48, epochs=1, out=Path("less")),
    ]
    for options, size in zip(stages, (64, 64, 48), strict=True):
        (run,) = train(**options, console=QUIET)
        info = read_run(run)
        assert (info.model.vit.image_size, info.crop.size) == (size, size)
    with pytest.raises(ConfigError, match=r"image_size=50.*patch_size=16"):
        train(**_options(data, landmark, image_size=50), console=QUIET)


def test_without_a_landmark_file_one_is_taught_on_the_avatars(
    data: Path, landmark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(4)
    taught = MobileFaceNet(IMAGE.landmark)

    def without_avatars(name: str, *rest: Any, **options: Any) -> Dataset:
        return open_dataset(str(data) if name == AVATARS else name, *rest, **options)

    monkeypatch.setattr(command, "open_dataset", without_avatars)
    monkeypatch.setattr(command, "taught_network", lambda config, *rest: taught)
    (run,) = train(**_options(data, None, stage="image", epochs=1), console=QUIET)
    model, _ = load_run(run)
    assert torch.equal(model.landmark.conv1.conv.weight, taught.conv1.conv.weight)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"model": "huge"}, ConfigError, "'huge'"),
        ({"device": "npu"}, DeviceError, "--device npu"),
        ({"data": "nowhere"}, DataError, "nowhere"),
        ({"init": Path("nowhere")}, S2DEdgeError, "nowhere"),
        (
            {"resume": Path("nowhere"), "data": None, "landmark": None, "changes": ()},
            CheckpointError,
            "nowhere",
        ),
        ({"changes": ("image.epoch=3",)}, ConfigError, "'image.epochs'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    data: Path, landmark: Path, more: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train(**_options(data, landmark, **more), console=QUIET)
    assert not Path("runs").exists()


def test_drawn_sets_are_sampled_at_the_rate_they_were_drawn_at(data: Path) -> None:
    sets: dict[str, Dataset] = {}
    for kind, fps in (("plain", DEFAULT_FPS), ("avatars", 12.5), ("animated", 6.25)):
        folder = Path(f"set-{kind}")
        shutil.copytree(data, folder)
        if kind != "plain":
            (folder / f"{kind}.json").write_text(json.dumps({"fps": fps}))
        sets[kind] = open_dataset(str(folder), QUIET)
        assert usual_fps(sets[kind], None) == fps
    write_random_run(Path("stills"), TINY.as_image(), fps=3.0)
    write_random_run(Path("clips"), TINY, fps=5.0)
    for kind, init, fps in (
        ("plain", "stills", 3.0),  # frames without a clock: the image run's rate
        ("animated", "stills", 6.25),
        ("animated", "clips", 5.0),  # the video run has a rate already
    ):
        assert usual_fps(sets[kind], read_run(Path(init))) == fps


def test_a_run_folder_in_use_is_refused(data: Path, landmark: Path) -> None:
    Path("taken").mkdir()
    Path("taken/file").write_text("mine")
    with pytest.raises(S2DEdgeError, match="taken"):
        train(**_options(data, landmark, stage="image", out=Path("taken")), console=QUIET)


def test_a_label_without_training_clips_is_refused(data: Path, landmark: Path) -> None:
    rows = (data / "labels.csv").read_text().splitlines()
    split = [f"{row},{'train' if 'fall' not in row else 'val'}" for row in rows[1:]]
    (data / "partial.csv").write_text("\n".join(["path,label,subject,split", *split]))
    with pytest.raises(DataError, match="fall"):
        train(**_options(data / "partial.csv", landmark), console=QUIET)
