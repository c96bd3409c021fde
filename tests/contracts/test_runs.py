"""The run folder: ``run.json`` is read back as written, or refused by field."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.contracts.runs import (
    RUN_FILE,
    WEIGHTS,
    RunInfo,
    find_runs,
    newest_run,
    read_run,
    write_run_info,
)
from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError, ConfigError
from s2d_edge.core.files import sha256_of
from tests.hostile import DAMAGED, JSON, mutated, places


def info(name: str = "demo") -> RunInfo:
    model = PRESETS[name]
    labels = tuple(f"class{k}" for k in range(model.classes))
    crop = CropRecipe(size=model.vit.image_size)
    return RunInfo(name=name, stage="video", labels=labels, fps=4.0, crop=crop, model=model)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with (empty) weights."""
    return write_run(tmp_path / "run")


def write_run(folder: Path, name: str = "demo") -> Path:
    folder.mkdir()
    (folder / WEIGHTS).touch()
    write_run_info(folder, replace(info(name), weights_sha256=sha256_of(folder / WEIGHTS)))
    return folder


def edit(run: Path, **changes: Any) -> None:
    content = json.loads((run / RUN_FILE).read_text())
    (run / RUN_FILE).write_text(json.dumps(content | changes))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_read_as_written(tmp_path: Path, name: str) -> None:
    read = read_run(write_run(tmp_path / "run", name))
    assert replace(read, weights_sha256="") == info(name)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format_version": 2}, "format_version 2"),
        ({"stage": "landmark"}, "stage"),
        ({"labels": ["one"]}, "labels"),
        ({"crop": {"size": 48}}, r"crop\.size=48"),
        ({"fps": float("nan")}, "fps=nan"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_invalid_run_names_the_field(run: Path, changes: dict[str, Any], named: str) -> None:
    edit(run, **changes)
    with pytest.raises(CheckpointError, match=named):
        read_run(run)


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_run_is_refused_by_name(run: Path, content: bytes) -> None:
    (run / RUN_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run\.json"):
        read_run(run)


@given(data=st.data())
def test_run_with_a_random_value_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    run = tmp_path_factory.getbasetemp() / "damaged-run"
    if not run.is_dir():
        write_run(run)
    write_run_info(run, info())
    content = json.loads((run / RUN_FILE).read_text())
    path = data.draw(st.sampled_from(list(places(content))))
    (run / RUN_FILE).write_text(json.dumps(mutated(content, path, data.draw(JSON))))
    try:
        found = read_run(run)
    except CheckpointError:
        return
    assert found.spec.size == found.model.vit.image_size
    with suppress(ConfigError):  # an adapter that does not fit this width
        assert found.model.as_video(8).bottleneck > 0


def test_run_without_weights_is_refused_unless_allowed(run: Path) -> None:
    (run / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=WEIGHTS):
        read_run(run)
    assert read_run(run, need_weights=False).labels == info().labels


def test_finding_runs_skips_and_names_broken_ones_and_sorts_newest_first(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for age, name in enumerate(("new", "old", "broken", "crop", "unweighted")):
        os.utime(write_run(tmp_path / name) / WEIGHTS, (1e9 - age, 1e9 - age))
    (tmp_path / "broken" / RUN_FILE).write_text("{")
    edit(tmp_path / "crop", crop={"size": 8})
    (tmp_path / "unweighted" / WEIGHTS).unlink()
    write_run(tmp_path / ".new.0123abcd")  # what is being written, or a killed command left
    assert [path.name for path in find_runs(tmp_path)] == ["new", "old"]
    assert newest_run(tmp_path).name == "new"
    assert capfd.readouterr().err == ""
    assert newest_run(tmp_path, console=Console(quiet=True)).name == "new"
    said = capfd.readouterr().err
    assert "broken/run.json" in said
    assert "crop/run.json" in said
    assert "unweighted" not in said  # its training only began
    with pytest.raises(CheckpointError, match="image"):
        newest_run(tmp_path, "image")
    with pytest.raises(CheckpointError, match="nothing"):
        newest_run(tmp_path / "nothing")


def test_a_run_with_damaged_weights_is_skipped_for_an_older_one_and_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for age, name in enumerate(("damaged", "old")):
        os.utime(write_run(tmp_path / name) / WEIGHTS, (1e9 - age, 1e9 - age))
    (tmp_path / "damaged" / WEIGHTS).write_bytes(b"x")
    assert newest_run(tmp_path, console=Console()).name == "old"
    assert f"damaged/{WEIGHTS}" in capfd.readouterr().err
    (tmp_path / "old" / WEIGHTS).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=f"old/{WEIGHTS}|damaged/{WEIGHTS}"):
        newest_run(tmp_path)
