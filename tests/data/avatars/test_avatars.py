"""Avatars are reproducible, found by FaceMesh, and reveal their labels by motion alone."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DataError, MediaError
from s2d_edge.core.files import sha256_of
from s2d_edge.data.avatars import (
    LABELS,
    AvatarSpec,
    dataset,
    default_avatars,
    read_landmarks,
    render_clip,
    write_avatar_video,
    write_avatars,
)
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.media.faces.finder import FaceFinder
from s2d_edge.media.pictures import frame_paths, read_image
from s2d_edge.media.video import read_video
from s2d_edge.verbs.main import app
from tests.data.avatars.probe import linear_probe

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

QUIET = Console(quiet=True)
TINY = AvatarSpec(train=1, val=1, test=1, frames=4, size=64)

# FaceMesh points beside iBUG's corners of the eyes, tip of the nose, corners of the mouth and chin.
MESH = (33, 263, 1, 61, 291, 152)
IBUG = (36, 45, 30, 48, 54, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A set of avatars in memory: (n, T, S, S, 3) clips, (n, T, 68, 2) landmarks, (n,) the rest."""

    data: Dataset
    clips: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    labels: NDArray[np.int64]
    train: NDArray[np.bool_]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Draw 27 avatars: 18 to learn from and 9 that are held out."""
    root = tmp_path_factory.mktemp("avatars") / "set"
    data = write_avatars(root, AvatarSpec(train=18, val=0, test=9, size=112), QUIET, workers=1)
    points = read_landmarks(root)
    clips = [[read_image(path) for path in frame_paths(sample.path)] for sample in data.samples]
    return Drawn(
        data=data,
        clips=np.array(clips, np.uint8),
        landmarks=np.stack([points[s.path.relative_to(root).as_posix()] for s in data.samples]),
        labels=np.array([sample.label for sample in data.samples]),
        train=np.array([sample.split == "train" for sample in data.samples]),
    )


def contents(root: Path) -> dict[str, str]:
    return {p.relative_to(root).as_posix(): sha256_of(p) for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_seed_gives_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    write_avatars(tmp_path / "one", TINY, QUIET, workers=1)
    write_avatars(tmp_path / "two", TINY, QUIET, workers=2)
    first = contents(tmp_path / "one")
    assert len(first) == 3 + 3 * len(LABELS) * TINY.frames
    assert contents(tmp_path / "two") == first


def test_another_seed_gives_other_faces() -> None:
    first, second = (render_clip(seed, 0, 0, "happy", frames=4, fps=4, size=64)[0] for seed in (0, 1))
    assert np.abs(first.astype(int) - second.astype(int)).mean() > 10


@pytest.mark.slow(seconds=10)
def test_splits_share_no_subject_and_every_class_is_as_frequent(drawn: Drawn) -> None:
    subjects = {split: {s.subject for s in drawn.data.split(split)} for split in drawn.data.splits}
    assert {split: len(who) for split, who in subjects.items()} == {"train": 18, "test": 9}
    assert not subjects["train"] & subjects["test"]
    assert np.bincount(drawn.labels).tolist() == [27] * len(LABELS)


def test_the_folder_describes_itself(drawn: Drawn) -> None:
    root = drawn.data.root
    with (root / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "subject", "split"]
    listed = [(root / row["path"], row["label"], row["subject"], row["split"]) for row in rows]
    assert listed == [(s.path, LABELS[s.label], s.subject, s.split) for s in drawn.data.samples]
    stored = json.loads((root / "avatars.json").read_text(encoding="utf-8"))
    assert (stored["frames"], stored["fps"], stored["train"]) == (8, 4.0, 18)
    assert set(read_landmarks(root)) == {row["path"] for row in rows}


def test_face_mesh_finds_the_faces_where_the_landmarks_say(drawn: Drawn) -> None:
    frames = drawn.clips[:, 3]  # one of each clip
    found, misses = 0, []
    with FaceFinder(static=True) as finder:
        for frame, points in zip(frames, drawn.landmarks[:, 3], strict=True):
            faces = finder.find(frame)
            if faces:
                found += 1
                seen = faces[0].points[list(MESH)] / frame.shape[0]
                misses.append(np.abs(seen - points[list(IBUG)]).mean())
    assert found / len(frames) >= 0.95
    assert np.median(misses) < 0.015
    assert np.quantile(misses, 0.95) < 0.04


def test_landmarks_lie_in_the_picture_and_in_order(drawn: Drawn) -> None:
    points = drawn.landmarks
    assert points.dtype == np.float32
    assert points.shape == (len(drawn.clips), 8, 68, 2)
    assert points.min() > 0.0
    assert points.max() < 1.0
    eyes, mouth, chin = points[:, :, 36:48].mean(axis=2), points[:, :, 48:].mean(axis=2), points[:, :, 8]
    assert (eyes[..., 1] < mouth[..., 1]).all()
    assert (mouth[..., 1] < chin[..., 1]).all()
    assert (points[:, :, 36, 0] < points[:, :, 45, 0]).all()


@pytest.mark.parametrize("view", ["middle frame", "mean frame", "all frames"])
def test_pixels_reveal_no_label(drawn: Drawn, view: str) -> None:
    small = np.array(
        [[cv2.resize(f, (32, 32), interpolation=cv2.INTER_AREA) for f in clip] for clip in drawn.clips]
    )  # (n, T, 32, 32, 3)
    seen = {"middle frame": small[:, 4], "mean frame": small.mean(axis=1), "all frames": small}[view]
    fit, labels = drawn.train, drawn.labels
    for penalty in (1e-2, 1e-4):
        assert linear_probe(seen[fit], labels[fit], seen[~fit], labels[~fit], penalty) < 0.5
    # The probe itself works: it sees a small bright mark whose place depends on the label.
    leaky = seen.copy()
    for clip, label in zip(leaky, labels, strict=True):
        clip[..., :4, 4 * label : 4 * label + 4, :] = 255
    assert linear_probe(leaky[fit], labels[fit], leaky[~fit], labels[~fit], 1e-4) > 0.8


def aligned(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Landmarks with the eyes level, centred and a unit apart: (n, T, 68, 2)."""
    left = landmarks[:, :, 36:42].mean(axis=2)
    right = landmarks[:, :, 42:48].mean(axis=2)
    across = (right - left) @ np.array([1.0, 1j])  # (n, T) complex
    centre = (right + left) / 2 @ np.array([1.0, 1j])
    flat = (landmarks @ np.array([1.0, 1j]) - centre[..., None]) / across[..., None]
    return np.stack([flat.real, flat.imag], axis=-1)


def test_movements_reveal_the_expressions_of_new_people(drawn: Drawn) -> None:
    shapes = aligned(drawn.landmarks)
    fit, labels = drawn.train, drawn.labels
    assert linear_probe(shapes[fit], labels[fit], shapes[~fit], labels[~fit], penalty=1e-5) > 0.85
    # Without their order the frames separate six kinds at most: the pair is a coin's toss.
    startled = np.isin(labels, [LABELS.index("surprise"), LABELS.index("fear")])
    pair = (labels == LABELS.index("fear")).astype(np.int64)
    learn, held_out = fit & startled, ~fit & startled
    mixed = np.sort(shapes, axis=1)
    assert linear_probe(shapes[learn], pair[learn], shapes[held_out], pair[held_out]) > 0.9
    assert linear_probe(mixed[learn], pair[learn], mixed[held_out], pair[held_out]) < 0.85


@pytest.mark.parametrize("subject", [0, 5, 11])
def test_fear_is_surprise_backwards_to_the_byte(subject: int) -> None:
    surprise, surprised = render_clip(3, subject, 0, "surprise", frames=8, fps=4.0, size=96)
    fear, feared = render_clip(3, subject, 0, "fear", frames=8, fps=4.0, size=96)
    np.testing.assert_array_equal(fear, surprise[::-1])
    np.testing.assert_array_equal(feared, surprised[::-1])
    gap = surprised[:, 66, 1] - surprised[:, 62, 1]  # the open mouth
    assert gap[:4].mean() > 3 * gap[6:].mean()  # startled in the first half only
    assert gap.max() > 4 * gap[-1]
    assert (fear != surprise).any()


def test_the_label_moves_the_face_and_nothing_else() -> None:
    clips = [render_clip(0, 2, 0, label, frames=4, fps=4.0, size=96)[0] for label in LABELS[:6]]
    edges = [np.concatenate([clip[:, :, :4], clip[:, :, -4:]], axis=2) for clip in clips]
    for edge in edges[1:]:
        np.testing.assert_array_equal(edge, edges[0])
    assert len({clip.tobytes() for clip in clips}) == 6


def test_expressions_move_their_characteristic_points(drawn: Drawn) -> None:
    shapes = aligned(drawn.landmarks)

    def measure(label: str) -> dict[str, float]:
        """Averages over all clips of one expression, in distances between the eyes; y runs down."""
        y = shapes[drawn.labels == LABELS.index(label)][..., 1]  # (n, T, 68)
        return {
            "corners": float(y[..., [48, 54]].mean() - y[..., [51, 57]].mean()),
            "brows": float(y[..., [21, 22]].mean()),
            "gap": float((y[..., 66] - y[..., 62]).mean()),
        }

    at = {label: measure(label) for label in LABELS[:6]}
    assert at["happy"]["corners"] < at["neutral"]["corners"] - 0.05  # up
    assert at["sad"]["corners"] > at["neutral"]["corners"] + 0.03  # down
    assert at["angry"]["brows"] > at["neutral"]["brows"] + 0.05
    assert at["sad"]["brows"] < at["neutral"]["brows"] - 0.02
    assert at["surprise"]["gap"] > at["neutral"]["gap"] + 0.1


def test_the_demo_set_is_drawn_once_and_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path))
    first = default_avatars(Console(), TINY, workers=1)
    assert first.root.parent == tmp_path
    assert str(first.root) in capsys.readouterr().err.replace("\n", "")
    clip = first.samples[0].path
    made = clip.stat().st_mtime_ns

    assert default_avatars(QUIET, TINY, workers=1) == first
    assert clip.stat().st_mtime_ns == made

    whole = contents(first.root)
    (clip / "002.jpg").unlink()
    assert default_avatars(QUIET, TINY, workers=1) == first
    assert contents(first.root) == whole

    other = AvatarSpec(train=1, val=0, test=0, frames=4, size=64)
    assert default_avatars(QUIET, other, workers=1).root != first.root


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(100))

    def encode_until_full(frame: NDArray[np.uint8]) -> bytes:
        if next(calls) == 10:
            raise OSError(28, "No space left on device")
        return b"jpeg"

    monkeypatch.setattr(dataset, "encode", encode_until_full)
    with pytest.raises(OSError, match="No space"):
        write_avatars(tmp_path / "set", TINY, QUIET, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(DataError, match=str(tmp_path)):
        write_avatars(tmp_path, TINY, QUIET, workers=1)
    with pytest.raises(DataError, match=str(tmp_path)):
        write_avatars(tmp_path / "thesis.txt", TINY, QUIET, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match=r"landmarks\.npz"):
        read_landmarks(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"frames": 3}, "frames=3"),
        ({"fps": 0.0}, "fps=0"),
        ({"size": 10}, "size=10"),
        ({"seed": -1}, "seed=-1"),
        ({"train": -1}, "train=-1"),
        ({"train": 0, "val": 0, "test": 0}, "train=0, val=0, test=0"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, int], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        AvatarSpec(**wrong)


def test_sizes_are_shared_out_over_the_splits() -> None:
    assert AvatarSpec.of_size(AvatarSpec().subjects) == AvatarSpec()
    smallest = AvatarSpec.of_size(3)
    assert (smallest.train, smallest.val, smallest.test) == (1, 1, 1)
    with pytest.raises(ConfigError, match="clips_per_class=2"):
        AvatarSpec.of_size(2)
    with pytest.raises(ConfigError, match="bored"):
        render_clip(0, 0, 0, "bored", frames=4, fps=4.0, size=64)


def test_the_verb_writes_a_set_and_refuses_in_a_sentence(tmp_path: Path) -> None:
    out = tmp_path / "set"
    options = ["--clips-per-class", "3", "--frames", "4", "--size", "64", "--quiet"]
    result = CliRunner().invoke(app, ["data", "avatars", str(out), *options])
    assert result.exit_code == 0, result.output
    assert len(read_landmarks(out)) == 3 * len(LABELS)
    result = CliRunner().invoke(app, ["data", "avatars", str(out), "--clips-per-class", "1"])
    assert isinstance(result.exception, ConfigError)


def test_a_video_shows_every_expression(tmp_path: Path) -> None:
    acts = write_avatar_video(tmp_path / "avatar.mp4", seed=1, seconds=14.0, fps=4.0, size=64)
    assert tuple(act.label for act in acts) == LABELS
    assert all(a.end_s <= b.start_s for a, b in pairwise(acts))
    frames = list(read_video(tmp_path / "avatar.mp4"))
    assert len(frames) == 56
    assert frames[0][1].shape == (64, 64, 3)
    with pytest.raises(ConfigError, match="seconds=3"):
        write_avatar_video(tmp_path / "short.mp4", seconds=3)
    with pytest.raises(MediaError, match="mp4"):
        write_avatar_video(tmp_path / "avatar.avi", seconds=14.0, fps=4.0, size=64)


def test_avatars_need_no_torch() -> None:
    code = "import sys, s2d_edge.data.avatars; sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
