"""A clip from a phone, stored on its side, against the same clip stored upright, by the starter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import s2d_edge
from s2d_edge.firmware_host.io.file_source import FileSource
from s2d_edge.media.faces.finder import FaceFinder
from s2d_edge.media.video import read_video
from tests.pictures import write_video

CASES = Path(__file__).parents[2] / "../shared/cases"
UPRIGHT, PHONE = CASES / "upright.mp4", CASES / "phone-90.mp4"


@pytest.mark.slow(seconds=4)
def test_faces_are_where_they_were() -> None:
    boxes: list[list[tuple[int, int, int, int]]] = []
    with FaceFinder(static=True) as finder:
        for path in (UPRIGHT, PHONE):
            frames = [frame for _, frame in read_video(path)][::8]
            boxes.append([finder.find(frame)[0].box for frame in frames])
    assert np.abs(np.array(boxes[0]) - np.array(boxes[1])).max() <= 3


@pytest.mark.slow(seconds=6)
def test_predictions_differ_by_less_than_another_encoding_changes_them(tmp_path: Path) -> None:
    """Each clip was encoded for itself, so pixels differ; encoding one again shows what that changes."""
    again = write_video(
        tmp_path / "again.mp4", (frame for _, frame in read_video(UPRIGHT)), fps=12.5, code="mp4v"
    )
    logits: dict[Path, NDArray[np.float64]] = {}
    labels: dict[Path, list[str]] = {}
    with s2d_edge.load("starter") as model:
        for path in (UPRIGHT, PHONE, again):
            predictions = list(model.predict_every(path, 1.0))
            labels[path] = [prediction.label for prediction in predictions]
            logits[path] = np.array([prediction.logits for prediction in predictions])
    assert labels[PHONE] == labels[UPRIGHT]
    assert len(set(labels[UPRIGHT])) > 1
    noise = np.abs(logits[again] - logits[UPRIGHT]).max()
    assert np.abs(logits[PHONE] - logits[UPRIGHT]).max() <= max(noise, 0.1)


def test_a_live_run_shows_and_records_it_upright() -> None:
    frame = next(iter(FileSource(PHONE).frames()))
    wanted = next(read_video(UPRIGHT))[1]
    assert frame.picture.shape == wanted.shape == (240, 320, 3)
    assert np.abs(frame.picture.astype(int) - wanted).mean() < 3
