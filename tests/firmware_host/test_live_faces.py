"""Several faces in one picture: each has its own state, its own results and its own track."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.firmware_host.io.file_source import FileSource
from s2d_edge.firmware_host.live import run_live
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.media.crop import Picture
from s2d_edge.media.video import read_video
from tests.firmware_host.live import QUIET, play, results_in
from tests.models import CAUSAL
from tests.pictures import plain, with_square, write_video
from tests.shared import Shared

TWO = PipelineConfig(smooth_s=0.2, max_faces=2)


def side_by_side(left: Picture, right: Picture) -> Picture:
    return np.ascontiguousarray(np.concatenate([left, right], axis=1))


def by_track(path: Path) -> dict[int, list[dict[str, Any]]]:
    tracks: dict[int, list[dict[str, Any]]] = {}
    for each in results_in(path):
        tracks.setdefault(each["track"], []).append(each)
    return tracks


@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize("mode", ["window", "stream"])
def test_two_faces_give_the_results_of_each_alone(mode: str, shared: Shared, tmp_path: Path) -> None:
    """Faces in one picture share neither model state nor smoothing."""
    causal = shared.exported("intel-cpu", mode, CAUSAL)
    rng = np.random.default_rng(0)
    colours = rng.integers(90, 256, (2, 12, 3)).tolist()
    left, right = ([with_square(colour) for colour in each] for each in colours)
    nobody = plain((0, 0, 0))
    left[8] = nobody  # gone for a moment, while the other stays
    clips = {
        "left": [side_by_side(each, nobody) for each in left],
        "right": [side_by_side(nobody, each) for each in right],
        "both": [side_by_side(*each) for each in zip(left, right, strict=True)],
    }
    found = {}
    for name, frames in clips.items():
        clip = write_video(tmp_path / f"{name}.avi", frames, fps=causal.manifest.spec.fps)
        play(causal, FileSource(clip), json=str(tmp_path / name), config=TWO)
        found[name] = by_track(tmp_path / name)
    assert list(found["left"]) == list(found["right"]) == [1]
    assert list(found["both"]) == [1, 2]
    one, other = (found["both"][track] for track in (1, 2))
    if one[0]["face"][0] > 96:
        one, other = other, one
    for together, alone in ((one, found["left"][1]), (other, found["right"][1])):
        assert len(together) == len(alone) > 5
        for each, wanted in zip(together, alone, strict=True):
            assert each["frame"] == wanted["frame"]
            np.testing.assert_allclose(each["logits"], wanted["logits"], atol=2e-2)  # MJPG blurs a little
            assert each.get("warming") == wanted.get("warming")
            assert each["label"] == wanted["label"]
    assert not np.allclose(one[-1]["logits"], other[-1]["logits"], atol=0.1)


@pytest.mark.slow(seconds=2)
def test_two_real_faces_keep_their_tracks(bundle: Bundle, shared_data: Path, tmp_path: Path) -> None:
    clips = [read_video(shared_data / "clips" / f"{name}.mp4") for name in ("d18", "d9")]
    frames = [
        side_by_side(*(cv2.resize(picture, (320, 320)) for _, picture in pair))
        for pair in itertools.islice(zip(*clips, strict=False), 40)
    ]
    clip = write_video(tmp_path / "two.avi", frames, fps=25)
    out = tmp_path / "out.jsonl"
    run_live(QUIET, bundle=bundle.path, source=clip, json=str(out), save=tmp_path / "two.mp4", config=TWO)
    tracks = by_track(out)
    assert len(tracks) == 2
    sides = [{each["face"][0] + each["face"][2] / 2 > 320 for each in results} for results in tracks.values()]
    assert sorted(map(sorted, sides)) == [[False], [True]]  # each stays on its side
    assert min(map(len, tracks.values())) >= 10
