"""The run that a bundle was exported from is found by its weights, not by a folder's name."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.contracts.provenance import PROVENANCE, find_source_run, write_provenance
from s2d_edge.contracts.runs import WEIGHTS, RunInfo, write_run_info
from s2d_edge.core.errors import CheckpointError
from s2d_edge.core.files import sha256_of
from tests.firmware_host.graphs import FRAMES, LABELS, SIZE, make_bundle

MODEL = PRESETS["demo"]
INFO = RunInfo(
    name="faces",
    stage="video",
    labels=LABELS,
    fps=10.0,
    crop=CropRecipe(size=SIZE),
    model=replace(
        MODEL,
        vit=replace(MODEL.vit, image_size=SIZE, patch_size=SIZE // 2),
        frames=FRAMES,
        classes=len(LABELS),
    ),
    made_from={"recipe": "demo"},
)


def train(root: Path, folder: str, content: bytes, *, age: int = 0, name: str = "faces") -> RunInfo:
    """A run folder under ``root`` with these bytes as weights."""
    path = root / folder
    path.mkdir(parents=True)
    (path / WEIGHTS).write_bytes(content)
    os.utime(path / WEIGHTS, (1e9 - age, 1e9 - age))
    info = replace(INFO, name=name, weights_sha256=sha256_of(path / WEIGHTS))
    write_run_info(path, info)
    return info


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundle", source_run="faces")


def test_the_run_with_the_recorded_weights_is_taken(tmp_path: Path, bundle: Bundle) -> None:
    runs = tmp_path / "runs"
    train(runs, "faces", b"trained again")
    exported = train(runs, "faces-of-may", b"exported", age=9)
    write_provenance(bundle.path, exported)
    assert find_source_run(bundle, runs) == runs / "faces-of-may"
    (runs / "faces-of-may" / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=exported.weights_sha256[:12]):
        find_source_run(bundle, runs)


def test_the_run_of_an_older_bundle_has_its_name_labels_and_clips(tmp_path: Path, bundle: Bundle) -> None:
    runs = tmp_path / "runs"
    assert not (bundle.path / PROVENANCE).exists()
    train(runs, "faces", b"others", name="others")  # a folder that was renamed
    with pytest.raises(CheckpointError, match="'faces'"):
        find_source_run(bundle, runs)
    train(runs, "renamed", b"these")
    assert find_source_run(bundle, runs) == runs / "renamed"
    slower = Bundle(bundle.path, bundle.manifest.model_copy(update={"fps": 4.0}))
    with pytest.raises(CheckpointError, match="'faces'"):
        find_source_run(slower, runs)
