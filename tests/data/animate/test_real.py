"""Animated stills of real photographs, from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from s2d_edge.data.animate import clip
from s2d_edge.data.animate.landmarks import StillFaceFinder
from s2d_edge.data.animate.resting import learn_resting_face
from s2d_edge.media.pictures import read_image
from s2d_edge.verbs.main import app
from tests.data.animate.faces import some_stills, write_table
from tests.data.animate.sets import contents


@pytest.mark.slow(seconds=3)
def test_real_photographs_from_the_command_line(shared_data: Path, tmp_path: Path) -> None:
    """Two processes make the clips that one makes."""
    rows = some_stills(shared_data, {"neutral": 22, "surprise": 22})
    table = str(write_table(tmp_path / "stills.csv", rows))
    one, two = tmp_path / "one", tmp_path / "two"
    options = [
        "--frames",
        "4",
        "--limit",
        "4",
        "--direction",
        "--quiet",
        "--json",
        str(tmp_path / "done.json"),
    ]
    result = CliRunner().invoke(app, ["data", "animate", table, str(one), *options, "--workers", "1"])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "done.json").read_text())
    assert report["stills"] - report["skipped"] >= 3
    assert set(report["labels"]) <= {"neutral", "surprise-onset", "surprise-offset"}

    two.mkdir()
    for name in ("animated.json", "resting.npz"):  # what is learned is learned once
        shutil.copy(one / name, two)
    result = CliRunner().invoke(app, ["data", "animate", table, str(two), *options, "--workers", "2"])
    assert result.exit_code == 0, result.output
    assert contents(one) == contents(two)


@pytest.mark.slow(seconds=2)
def test_real_mouths_open_to_the_photographs_expression(shared_data: Path) -> None:
    rows = some_stills(shared_data, {"neutral": 24, "surprise": 24})
    with StillFaceFinder() as finder:
        faces = [(row["label"], finder.find(read_image(Path(row["path"])))) for row in rows]
        found = {label: [p for known, p in faces if known == label and p is not None] for label, _ in faces}
        resting = learn_resting_face(np.stack(found["neutral"]), {"surprise": np.stack(found["surprise"])})
        gaps: list[list[float]] = []
        for row, (label, points) in zip(rows, faces, strict=True):
            if label == "surprise" and points is not None and len(gaps) < 5:
                plan = clip.plan_clip(0, row["path"], 0, frames=4, fps=4.0, onset=True)
                picture = read_image(Path(row["path"]))
                frames = clip.animate(picture, points, resting, plan)
                np.testing.assert_array_equal(frames[plan.motion.apex], picture)
                seen = [finder.find(frames[t]) for t in (0, plan.motion.apex)]
                if all(s is not None for s in seen):
                    gaps.append([float(s[14, 1] - s[13, 1]) for s in seen if s is not None])
    rest, apex = np.array(gaps).T
    assert np.median(rest) < 0.6 * np.median(apex)
