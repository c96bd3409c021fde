"""Photographs under other names: nobody's name is left, and everything else is."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.core.files import sha256_of
from tools.starter.pseudonyms import rename_photographs

QUIET = Console(quiet=True)
ROWS = (
    ("Ada_1.jpg", "calm", "Ada", "train"),
    ("Ada_2.png", "glad", "Ada", "train"),
    ("Bo_1.jpg", "calm", "Bo", "test"),
)


@pytest.fixture
def named(tmp_path: Path) -> Path:
    data = tmp_path / "named"
    data.mkdir()
    for number, (name, *_) in enumerate(ROWS):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(data / name)
    with (data / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "subject", "split"), *ROWS])
    return data


def test_names_go_and_the_rest_stays(named: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rename_photographs(str(named), out, QUIET)
    with (out / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["subject"], row["split"]) for row in rows] == [
        ("calm", "p00001", "train"),
        ("glad", "p00001", "train"),
        ("calm", "p00002", "test"),
    ]
    for row, (name, *_) in zip(rows, ROWS, strict=True):
        assert (out / row["path"]).read_bytes() == (named / name).read_bytes()
        assert Path(row["path"]).stem == sha256_of(named / name)[:16]
    everything = "".join(str(path) for path in out.rglob("*")) + (out / "labels.csv").read_text()
    assert "Ada" not in everything
    assert "Bo" not in everything


def test_what_is_no_photograph_or_is_there_twice_is_refused_and_nothing_is_left(
    named: Path, tmp_path: Path
) -> None:
    (named / "Bo_1.jpg").write_bytes((named / "Ada_1.jpg").read_bytes())
    with pytest.raises(DataError, match=r"\.jpg"):
        rename_photographs(str(named), tmp_path / "out", QUIET)
    (named / "Bo_1.jpg").rename(named / "Bo_1.mp4")
    labels = named / "labels.csv"
    labels.write_text(labels.read_text().replace("Bo_1.jpg", "Bo_1.mp4"))
    with pytest.raises(DataError, match=r"Bo_1\.mp4"):
        rename_photographs(str(named), tmp_path / "out", QUIET)
    assert {path.name for path in tmp_path.iterdir()} == {"named"}


def test_a_folder_in_use_is_refused_in_one_sentence(named: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.starter.pseudonyms", str(named), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: {tmp_path} exists already; choose another")
    assert {path.name for path in tmp_path.iterdir()} == {"named"}
