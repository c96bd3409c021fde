"""``train --stage pretrain``: any pictures in, an encoder out, which trains further and predicts nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import s2d_edge
from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.contracts.runs import RUNS, find_runs, newest_run, read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError, DataError
from s2d_edge.data.preparing.prepare import prepare
from s2d_edge.data.reading.unlabelled import UNLABELLED, open_unlabelled
from s2d_edge.model.checkpoint import load_run
from s2d_edge.model.initialise import initialise
from s2d_edge.model.s2d import S2D
from s2d_edge.train.command import train
from s2d_edge.train.supply import supply
from tests.models import with_vit, write_random_run
from tests.train.tiny import IMAGE, VIDEO, stopped_after, write_landmark

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

QUIET = Console(quiet=True)
FAST = ("workers=1", "val_fraction=0.25")
LEARNING = (
    "pretrain.epochs=3",
    "pretrain.epoch_clips=24",
    "pretrain.batch_clips=4",
    "pretrain.lr=5e-3",
    "pretrain.warmup_epochs=0",
    "pretrain.crop=1",
    "pretrain.flip=0",
)


def _write_pictures(folder: Path, count: int = 12) -> Path:
    """Stripes of different contrast in folders of any depth, with a text and a hidden file beside them."""
    for k in range(count):
        y, x = np.mgrid[:32, :32]
        waves = np.sin((x + 2 * y) / 4) * (40 + 6 * k) + 128
        path = folder / ("a/b" if k % 3 else "c") / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.repeat(waves[:, :, None], 3, axis=2).astype(np.uint8))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory and a cache for this test alone; faces are not searched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(PRESETS, "demo", VIDEO)
    monkeypatch.setattr(
        supply, "prepare", lambda clips, spec, crop, *rest, **how: prepare(clips, spec, None, *rest, **how)
    )


def _pretrain(data: Path, **more: Any) -> Path:
    given: dict[str, Any] = {"stage": "pretrain", "data": str(data), "changes": (*FAST, *LEARNING)} | more
    (run,) = train(**given, console=QUIET)
    return run


def _history(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow(seconds=4)
def test_it_learns_records_and_resumes_like_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    data = _write_pictures(Path("pictures"))
    whole = _pretrain(data)
    assert whole == RUNS / "pictures-demo-pretrain"
    losses = [record["val_loss"] for record in _history(whole)]
    assert losses[-1] < losses[0]
    assert losses[-1] < 1  # the error of predicting each patch's mean
    info = read_run(whole, encoder_ok=True)
    assert (info.stage, info.labels, info.origin["how"]) == ("pretrain", (), "trained")
    assert info.made_from["data"]["train"]["used"] == 9
    assert info.made_from["data"]["validation"]["used"] == 3
    assert info.made_from["recipe"] == "pretrain"
    for name in ("environment.json", "learning-curve.png", "last.safetensors", "resume.pt"):
        assert (whole / name).is_file(), name
    assert list((whole / "tensorboard").iterdir())
    for epoch in (1, 2, 3):
        picture = cv2.imread(str(whole / f"reconstructions/epoch-{epoch:04d}.jpg"))
        assert picture.shape == (3 * 32 + 2 * 4, 6 * 32 + 5 * 4, 3)
        original, masked, filled = picture[:32], picture[36:68], picture[72:]
        assert np.abs(masked.astype(int) - 128).mean() < np.abs(original.astype(int) - 128).mean()
        assert np.abs(filled.astype(int) - original).mean() < np.abs(masked.astype(int) - original).mean()
    with stopped_after(9):
        _pretrain(data, out=Path("parted"))
    said = " ".join(capsys.readouterr().err.split())
    assert "continue with: s2d-edge train --resume parted" in said
    assert train(resume=Path("parted"), console=QUIET) == [Path("parted")]
    assert [record | {"seconds": 0} for record in _history(Path("parted"))] == [
        record | {"seconds": 0} for record in _history(whole)
    ]
    for name in ("weights.safetensors", "last.safetensors"):
        assert Path("parted", name).read_bytes() == Path(whole, name).read_bytes()
    with pytest.raises(ConfigError, match="--init parted"):
        train(resume=Path("parted"), console=QUIET)


@pytest.mark.slow(seconds=3)
def test_its_encoder_starts_an_image_stage_and_nothing_else_can_use_it() -> None:
    run = _pretrain(_write_pictures(Path("pictures")), changes=(*FAST, *LEARNING, "pretrain.epochs=1"))
    tensors = load_file(run / "weights.safetensors")
    model = S2D(with_vit(IMAGE, image_size=48))
    notes = " ".join(initialise(model, run, ("a", "b", "c")))
    for said in (str(run), "vit.blocks.0 to 1", "3×3", "start fresh"):
        assert said in notes
    for name, value in model.vit.state_dict().items():
        if name != "pos_embed":
            assert torch.equal(value, tensors[f"vit.{name}"]), name
    with pytest.raises(CheckpointError, match=r"vit\.width 32 there, 48 here"):
        initialise(S2D(with_vit(IMAGE, width=48)), run, ("a", "b", "c"))

    refused: list[Callable[[], Any]] = [
        lambda: load_run(run),
        lambda: s2d_edge.export(run, target="intel-cpu"),
        lambda: s2d_edge.evaluate(run, data="pictures"),
        lambda: s2d_edge.load(run),
        lambda: train(data="labelled", teacher=[run], console=QUIET),
    ]
    rows = ["path,label,subject", *(f"{k}.png,{'abc'[k % 3]},p{k // 3}" for k in range(12))]
    labelled = _write_pictures(Path("labelled"))
    for path in sorted(labelled.rglob("[0-9]*.png")):
        shutil.move(path, labelled / path.name)
    (labelled / "labels.csv").write_text("\n".join(rows))
    for use in refused:
        with pytest.raises(CheckpointError, match=rf"{run.name} .*--stage image --init .*{run.name}"):
            use()
    assert find_runs(RUNS) == []
    with pytest.raises(CheckpointError, match="the video stage freezes"):
        train(stage="video", data="labelled", init=run, console=QUIET)

    landmark = write_landmark(Path("landmark.safetensors"))
    small: dict[str, Any] = {
        "data": "labelled",
        "changes": (*FAST, "image.epochs=1", "image.lr=1e-9", "image.weight_decay=0", "image.batch_clips=4"),
        "landmark": landmark,
    }
    (image,) = train(stage="image", init=run, **small, console=QUIET)
    trained = load_run(image)[0].vit.state_dict()
    assert all(torch.allclose(trained[name], tensors[f"vit.{name}"], atol=1e-6) for name in trained)
    assert read_run(image).made_from["init"]["name"] == run.name
    assert newest_run(RUNS, "image") == image

    # And a pre-training starts from any of them, its labels ignored.
    again = _pretrain(labelled, init=image, changes=(*FAST, *LEARNING, "pretrain.epochs=1"), epochs=1)
    assert read_run(again, encoder_ok=True).origin["init"] == str(image)


def test_only_visible_options_are_taken() -> None:
    for flag, given in (
        ("--teacher", {"teacher": [Path("x")]}),
        ("--landmark", {"landmark": Path("x")}),
        ("--temporal", {"temporal": "causal"}),
        ("--protocol", {"protocol": "paper"}),
    ):
        with pytest.raises(ConfigError, match=flag):
            _pretrain(Path("pictures"), **given)


def test_labels_do_not_matter_and_held_back_clips_stay_out() -> None:
    root = _write_pictures(Path("set"))
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("[0-9]*.png"))
    plain = open_unlabelled([str(root)], QUIET)
    assert {sample.path.relative_to(root).as_posix() for sample in plain.samples} == set(files)
    assert (plain.labels, plain.splits) == ((UNLABELLED,), {"train": 12})
    splits = ["train"] * 8 + ["valid"] * 2 + ["test"] * 2
    rows = [f"{file},{k},{split}" for k, (file, split) in enumerate(zip(files, splits, strict=True))]
    rows += [f"{files[0]},another,train"]
    (root / "labels.csv").write_text("\n".join(["path,label,split", *rows]))
    listed = open_unlabelled([str(root)], QUIET)
    assert listed.splits == {"train": 8, "val": 2}
    assert {sample.label for sample in listed.samples} == {0}
    (root / "labels.csv").write_text(f"path,label,split\n{files[0]},a,train\n{files[0]},a,val\n")
    with pytest.raises(DataError, match="listed already"):
        open_unlabelled([str(root)], QUIET)
    (root / "labels.csv").write_text(f"path,label,split\n{files[0]},a,test\n")
    with pytest.raises(DataError, match="'train'"):
        open_unlabelled([str(root)], QUIET)
    by_split = Path("by-split")
    for split in ("train", "test"):
        shutil.copytree(root / "c", by_split / split / "any")
    assert open_unlabelled([str(by_split)], QUIET).splits == {"train": 4}
    both = open_unlabelled([str(by_split), str(root / "a")], QUIET)
    assert both.splits == {"train": 12}
    assert [source.name for source in both.sources] == ["by-split", "a"]
    Path("empty/inside").mkdir(parents=True)
    Path("empty/inside/text.txt").write_text("x")
    with pytest.raises(DataError, match="empty"):
        open_unlabelled(["empty"], QUIET)


def test_a_fresh_run_beside_others_is_not_what_verbs_take(tmp_path: Path) -> None:
    write_random_run(RUNS / "older", IMAGE)
    run = RUNS / "encoder"
    shutil.copytree(RUNS / "older", run)
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(about | {"stage": "pretrain", "labels": []}))
    assert find_runs(RUNS) == [RUNS / "older"]
    assert newest_run(RUNS) == RUNS / "older"
    with pytest.raises(CheckpointError, match="labels"):
        (run / "run.json").write_text(json.dumps(about | {"stage": "pretrain"}))
        read_run(run, encoder_ok=True)
