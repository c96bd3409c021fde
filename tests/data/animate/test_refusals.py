"""Animated stills refuse other settings, foreign folders and unusable stills."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s2d_edge.core.errors import ConfigError, DataError, MediaError
from s2d_edge.data.animate import AnimateSettings, animate_stills
from tests.data.animate.faces import write_table
from tests.data.animate.sets import FEW, QUIET, contents, rows_of, run

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"frames": 5}, r"frames=4, not 5"),
        ({"direction": True}, r"direction=False, not True"),
        ({"limit": 2}, r"limit=None, not 2"),
    ],
)
def test_a_set_of_other_settings_is_refused(
    drawn: None, photographs: Path, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    run(photographs, tmp_path / "out")
    kept = contents(tmp_path / "out")
    with pytest.raises(DataError, match=named):
        run(photographs, tmp_path / "out", replace(FEW, **change))
    assert contents(tmp_path / "out") == kept


def test_changed_stills_and_foreign_folders_are_refused(
    drawn: None, photographs: Path, tmp_path: Path
) -> None:
    run(photographs, tmp_path / "out")
    os.utime(photographs / "all/3.png", ns=(0, 0))
    with pytest.raises(DataError, match=str(tmp_path / "out")):
        run(photographs, tmp_path / "out")
    with pytest.raises(DataError, match=str(tmp_path)):
        run(photographs, photographs)
    with pytest.raises(DataError, match=r"'dev'.*test, train"):
        run(photographs, tmp_path / "none", replace(FEW, split="dev"))
    with pytest.raises(DataError, match="avatars"):
        animate_stills("avatars", tmp_path / "none", FEW, QUIET)
    with pytest.raises(DataError, match="clip"):
        run(tmp_path / "out", tmp_path / "again")
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "again").exists()
    folders = tmp_path / "folders"
    (folders / "train/sad").mkdir(parents=True)
    shutil.copy(photographs / "all/1.png", folders / "train/sad")
    with pytest.raises(DataError, match="folders"):
        run(folders, folders / "out")


def test_stills_without_any_face_are_listed_and_refused(
    drawn: None, photographs: Path, tmp_path: Path
) -> None:
    write_table(photographs / "labels.csv", rows_of(photographs)[-1:])
    with pytest.raises(DataError, match="1 stills"):
        run(photographs, tmp_path / "out")
    assert len(rows_of(tmp_path / "out", "skipped.csv")) == 1
    assert not (tmp_path / "out/labels.csv").exists()


def test_a_broken_picture_is_named(drawn: None, photographs: Path, tmp_path: Path) -> None:
    whole = (photographs / "all/4.png").read_bytes()
    (photographs / "all/4.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match=r"4\.png"):
        run(photographs, tmp_path / "out")
    (photographs / "all/4.png").write_bytes(whole)


def test_too_few_faces_at_rest_are_refused_before_anything_is_made(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"3 stills .*'neutral' and 7"):
        run(photographs, tmp_path / "out")
    with pytest.raises(DataError, match=r"'calm' .*--neutral"):  # nothing came of it yet
        run(photographs, tmp_path / "out", replace(FEW, neutral="calm"))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"clips": 0}, "clips=0"),
        ({"frames": 3}, "frames=3"),
        ({"fps": 0.0}, "fps=0"),
        ({"size": 8}, "size=8"),
        ({"seed": -1}, "seed=-1"),
        ({"limit": 0}, "limit=0"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        AnimateSettings(**wrong)
