"""Weights and folders given in the wrong place: one sentence that says what they are and what to give."""

from __future__ import annotations

import argparse
import datetime
import pathlib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from s2d_edge import evaluate, export
from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.runs import read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError, DataError
from s2d_edge.data.preparing.prepare import prepare
from s2d_edge.data.reading.dataset import Sample
from s2d_edge.data.reading.open import open_dataset
from s2d_edge.model.checkpoint import read_tensors, save_run
from s2d_edge.model.initialise import initialise
from s2d_edge.model.s2d import S2D
from s2d_edge.train.command import train
from s2d_edge.train.plan.start import choose_folders
from s2d_edge.train.record.progress import load_snapshot
from s2d_edge.verbs.import_ import import_run
from tests.models import TINY, random_model, write_random_run

QUIET = Console(quiet=True)
IMAGE = TINY.as_image()


@pytest.fixture(scope="module")
def vit() -> dict[str, torch.Tensor]:
    """A plain ViT of the tiny sizes."""
    return {f"{name}": value for name, value in random_model(IMAGE).vit.state_dict().items()}


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "backbone.", "model.encoder."]
)
def test_a_vit_is_read_under_any_prefix(tmp_path: Path, vit: dict[str, torch.Tensor], prefix: str) -> None:
    content = {f"{prefix}{name}": value for name, value in vit.items()}
    if prefix == "backbone.":
        content |= {"decode_head.weight": torch.zeros(2), "teacher.backbone.pos_embed": torch.zeros(1)}
    torch.save({"state_dict": content}, tmp_path / "vit.pth")
    model = S2D(IMAGE)
    initialise(model, tmp_path / "vit.pth")
    assert all(torch.equal(value, vit[name]) for name, value in model.vit.state_dict().items())


def test_other_files_given_for_a_vit_are_told_by_what_they_are(
    tmp_path: Path, vit: dict[str, torch.Tensor], shared_data: Path
) -> None:
    write_random_run(tmp_path / "run", IMAGE)
    torch.save({"layer1.0.conv1.weight": torch.zeros(3)}, tmp_path / "resnet.pth")
    official = shared_data / "parity/s2d_small_official.pth"
    for file, wanted in (
        (official, f"s2d-edge import {official} --landmark"),
        (tmp_path / "run" / "weights.safetensors", f"folder, {tmp_path}/run"),
        (tmp_path / "resnet.pth", r"layer1\.0\.conv1\.weight"),
    ):
        with pytest.raises(CheckpointError, match=wanted):
            initialise(S2D(IMAGE), file)
    wide = replace(IMAGE, vit=replace(IMAGE.vit, width=192, heads=3, depth=12, image_size=224))
    torch.save(S2D(wide).vit.state_dict(), tmp_path / "tiny.pth")
    with pytest.raises(CheckpointError, match=r"width 192, depth 12 .*--model tiny$"):
        initialise(S2D(IMAGE), tmp_path / "tiny.pth")


def test_a_model_that_does_not_fit_a_run_names_the_sizes(tmp_path: Path) -> None:
    write_random_run(tmp_path / "run", IMAGE)
    for other, name in (
        (replace(IMAGE, vit=replace(IMAGE.vit, width=64)), r"vit\.width 48 there, 64 here"),
        (replace(IMAGE, landmark=replace(IMAGE.landmark, width=8)), r"landmark\.width 4 there, 8 here"),
        (replace(IMAGE, prompt_width=8), "prompt_width 4 there, 8 here"),
    ):
        with pytest.raises(CheckpointError, match=name) as caught:
            initialise(S2D(other), tmp_path / "run")
        assert "--model" in str(caught.value)
        assert len(str(caught.value)) < 400  # and not every key
    write_random_run(tmp_path / "video", TINY)
    assert TINY.temporal is not None
    with pytest.raises(CheckpointError, match=r"temporal\.heads 2 there, 1 here"):
        initialise(S2D(replace(TINY, temporal=replace(TINY.temporal, heads=1))), tmp_path / "video")


def test_numbers_of_numpy_and_paths_beside_weights_are_accepted(tmp_path: Path) -> None:
    beside = {
        "best": np.float64(0.5),
        "epoch": np.int64(3),
        "share": np.float32(0.5),
        "args": argparse.Namespace(out=pathlib.Path("runs/x"), here=pathlib.PurePosixPath("y")),
        "there": pathlib.PureWindowsPath("c:/x"),
    }
    torch.save({"state_dict": {"a": torch.ones(2)}, **beside}, tmp_path / "file.pth")
    assert read_tensors(tmp_path / "file.pth").keys() == {"a"}
    names = (  # as Windows, a newer Python and a newer NumPy write them
        (b"cpathlib\nPosixPath", b"cpathlib\nWindowsPath"),
        (b"cpathlib\nPosixPath", b"cpathlib._local\nPosixPath"),
        (b"cnumpy.core.multiarray", b"cnumpy._core.multiarray"),
        (b"cnumpy._core.multiarray", b"cnumpy.core.multiarray"),
    )
    for old, new in names:
        with (
            zipfile.ZipFile(tmp_path / "file.pth") as given,
            zipfile.ZipFile(tmp_path / "other.pth", "w") as written,
        ):
            for name in given.namelist():
                content = given.read(name)
                written.writestr(name, content.replace(old, new) if name.endswith(".pkl") else content)
        assert read_tensors(tmp_path / "other.pth")["a"].tolist() == [1, 1]


class Hostile:
    """An object whose pickle calls a function when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("run",))


@pytest.mark.parametrize("what", [Hostile(), datetime.date(2026, 1, 1), np.arange(3)])
def test_other_objects_are_refused_without_advice_to_run_them(tmp_path: Path, what: object) -> None:
    torch.save({"state_dict": {"a": torch.ones(2)}, "more": what}, tmp_path / "resume.pt")
    for read in (lambda: read_tensors(tmp_path / "resume.pt"), lambda: load_snapshot(tmp_path)):
        with pytest.raises(CheckpointError, match=r"resume\.pt") as caught:
            read()
        assert "weights_only" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_folder_without_a_run_says_what_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_random_run(Path("runs/x-image"), IMAGE)
    write_random_run(Path("runs/x-video"), TINY)
    Path("bundle").mkdir()
    Path("bundle/manifest.json").write_text("{}")
    Path("empty").mkdir()
    for path, wanted in (
        ("runs/x", r"runs/x-video or runs/x-image\?"),
        ("runs", r"runs/x-image or runs/x-video\?"),
        ("runs/x-image/weights.safetensors", "folder, runs/x-image"),
        ("bundle", "is a bundle"),
        ("nowhere", "no such folder"),
        ("empty", "s2d-edge train"),
    ):
        with pytest.raises(CheckpointError, match=rf"^{path} .*{wanted}"):
            read_run(Path(path))


def test_one_label_is_told_as_such(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "labels.csv").write_text("path,label,split\na.png,happy,train\n")
    with pytest.raises(DataError, match="happy"):
        train(data=str(tmp_path), console=QUIET)


def test_a_link_that_leads_nowhere_is_not_blamed_on_the_labels(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "0.png").symlink_to("gone.png")
    (tmp_path / "b.png").symlink_to("moved.png")
    (tmp_path / "labels.csv").write_text("path,label\nb.png,happy\n")
    with pytest.raises(DataError, match=r"b\.png.*moved\.png") as caught:
        open_dataset(str(tmp_path), QUIET)
    assert "labels file" not in str(caught.value)
    sample = Sample(path=tmp_path / "clip", label=0, split="train")
    with pytest.raises(DataError, match=r"0\.png.*gone\.png"):
        prepare([sample], ClipSpec(frames=1, fps=1.0, size=32), None, QUIET, title="clips")


def test_an_imported_head_that_was_never_trained_is_told(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    official = read_tensors(shared_data / "parity/s2d_small_official.pth")
    image = {
        name: value
        for name, value in official.items()
        if "TMA" not in name and name != "temporal_embedding" and not name.startswith("head.")
    }
    torch.save(image, tmp_path / "image.pth")
    landmark = shared_data / "landmark/mobilefacenet_300w.pth"
    run = import_run(
        tmp_path / "image.pth",
        landmark=landmark,
        labels="a,b",
        heads=4,
        out=tmp_path / "run",
        console=Console(),
    )
    assert f"train --init {run}" in " ".join(capsys.readouterr().err.split())
    info = read_run(run)
    assert info.head_is_untrained
    assert not replace(info, origin={"how": "trained"}).head_is_untrained


@pytest.mark.slow(seconds=2)
def test_export_and_evaluate_warn_of_a_head_that_was_never_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_random_run(tmp_path / "made", TINY)
    info = read_run(tmp_path / "made")
    run = tmp_path / "run"
    save_run(run, replace(info, origin={"head": "fresh"}), S2D(TINY))
    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "labels.csv").write_text(f"path,label,split\none.png,{info.labels[0]},test\n")
    for path, warned in ((run, True), (tmp_path / "made", False)):
        result = evaluate(path, data=str(tmp_path / "labels.csv"), device="cpu", console=QUIET)
        assert (result.get("head") == "fresh") == warned
        with pytest.raises(ConfigError):  # after the warning: not causal
            export(path, target="cpu", mode="stream", out=tmp_path / "bundle", console=QUIET)
        said = " ".join(capsys.readouterr().err.split())
        assert said.count(f"train --init {path}") == 2 * warned


@pytest.mark.parametrize("out", ["", ".", "/", "..", "a/.."])
def test_an_output_without_a_name_is_refused(out: str) -> None:
    with pytest.raises(ConfigError, match="--out"):
        choose_folders(Path(out), "demo", ("image", "video"))
