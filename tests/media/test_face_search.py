"""The face search against plain formulas, and against MediaPipe, whose graphs it runs."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2d_edge.core.errors import MissingExtraError
from s2d_edge.media.faces import graphs
from s2d_edge.media.faces.detector import (
    FULL_RANGE,
    SAME_DETECTION,
    SHORT_RANGE,
    Detector,
    DetectorKind,
    decode,
    suppress,
)
from s2d_edge.media.faces.graph_search import GraphSearch
from s2d_edge.media.faces.mediapipe_search import MediaPipeSearch
from s2d_edge.media.faces.mesh import MESH_SIZE, Mesh
from s2d_edge.media.faces.region import Region
from s2d_edge.media.faces.search import FaceSearch, open_search
from s2d_edge.media.video import read_video

Floats = NDArray[np.float32]
CLIPS = ("d0", "d12", "d18", "d3", "d9", "s29")


@pytest.mark.parametrize(("kind", "count"), [(SHORT_RANGE, 896), (FULL_RANGE, 2304)])
def test_anchors_are_as_many_as_the_graph_has_boxes(kind: DetectorKind, count: int) -> None:
    anchors = kind.anchors()
    assert anchors.shape == (count, 2)
    stride, per_place = kind.grids[0]
    assert np.allclose(anchors[:per_place], stride / 2 / kind.size)
    assert np.allclose(anchors[-1], 1 - kind.grids[-1][0] / 2 / kind.size)
    assert np.allclose(anchors[per_place], (stride * 1.5 / kind.size, stride / 2 / kind.size))  # x first


def test_decoding_is_anchor_plus_offset() -> None:
    rng = np.random.default_rng(0)
    boxes, anchors = rng.normal(size=(5, 16)).astype(np.float32) * 9, rng.random((5, 2)).astype(np.float32)
    scores = np.array([-200, 3, 0.5, 1000, -0.1], np.float32)
    seen, points = decode(boxes, scores, anchors, 128, 0.5)
    assert seen.tolist() == pytest.approx([1, 1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-0.5))])
    for index, each in zip((3, 1, 2), points, strict=True):
        centre, size = boxes[index, :2] / 128 + anchors[index], boxes[index, 2:4] / 128
        assert each[0] == pytest.approx(centre - size / 2, abs=1e-5)
        assert each[1] == pytest.approx(centre + size / 2, abs=1e-5)
        assert each[2:] == pytest.approx(boxes[index, 4:].reshape(6, 2) / 128 + anchors[index], abs=1e-5)


def test_a_graph_without_a_face_gives_nothing() -> None:
    detector = Detector(
        lambda _: (np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -9, np.float32)), SHORT_RANGE, 0.5
    )
    assert detector.find(np.zeros((40, 90, 3), np.uint8)) == []


@given(
    st.lists(st.tuples(*(st.integers(0, 20) for _ in range(4)), st.integers(50, 100)), min_size=1, max_size=8)
)
def test_suppression_blends_what_overlaps_with_the_best(drawn: list[tuple[int, ...]]) -> None:
    drawn.sort(key=lambda each: -each[4])
    scores = np.array([each[4] / 100 for each in drawn], np.float32)
    points = np.zeros((len(drawn), 8, 2), np.float32)
    for index, (x, y, w, h, _) in enumerate(drawn):
        points[index] = np.linspace((x, y), (x + w, y + h), 8)
        points[index, 1] = (x + w, y + h)
    left = list(range(len(drawn)))
    for score, blended in suppress(scores, points):
        x, y, w, h, _ = drawn[left[0]]
        same = []
        for index in left:
            x2, y2, w2, h2, _ = drawn[index]
            shared = max(min(x + w, x2 + w2) - max(x, x2), 0) * max(min(y + h, y2 + h2) - max(y, y2), 0)
            if index == left[0] or shared > SAME_DETECTION * (w * h + w2 * h2 - shared):
                same.append(index)
        weights = scores[same]
        mean = (
            sum(weight * points[index] for weight, index in zip(weights, same, strict=True)) / weights.sum()
        )
        assert score == scores[left[0]]
        assert blended == pytest.approx(mean, abs=1e-4)
        left = [index for index in left if index not in same]
    assert not left


@given(
    st.floats(20, 60),
    st.floats(20, 60),
    st.floats(8, 40),
    st.floats(-3, 3),
    st.integers(0, 7),
    st.integers(0, 7),
)
def test_a_point_seen_in_a_region_is_where_it_was_in_the_frame(
    x: float, y: float, side: float, angle: float, column: int, row: int
) -> None:
    ramp = np.zeros((100, 100, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(100), np.arange(100)[:, None]
    region = Region(x=x, y=y, side=side, angle=angle)
    seen = region.cut(ramp, 8, cv2.BORDER_REPLICATE)[row, column, :2]
    where = region.to_frame(np.array([column / 8, row / 8], np.float32))
    assert seen == pytest.approx(np.clip(where, 0, 99), abs=1)


def test_a_mesh_ignores_what_a_broken_device_says() -> None:
    nonsense = np.full((1, 896, 16), np.nan, np.float32), np.full((1, 896, 1), 9, np.float32)
    detector = Detector(lambda _: nonsense, SHORT_RANGE, 0.5)
    mesh = Mesh(
        lambda _: (np.zeros(1404, np.float32), np.full(1, np.nan, np.float32)),
        detector,
        static=False,
        max_faces=1,
        min_presence=0.5,
    )
    frame = np.zeros((64, 64, 3), np.uint8)
    assert mesh.find(frame) == []
    seen = Region(x=32, y=32, side=20)
    mesh._followed = [seen]
    assert mesh.find(frame) == []  # a presence of NaN is none


def test_a_stream_asks_the_detector_only_while_faces_are_missing() -> None:
    asked = []
    boxes, scores = np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -9, np.float32)
    middle = 2 * (8 * 16 + 8)
    boxes[0, middle, 2:4] = 40
    boxes[0, middle, 4:8] = (-8, 0, 8, 0)
    scores[0, middle] = 9

    def near(picture: Floats) -> tuple[Floats, Floats]:
        asked.append(picture.shape)
        return boxes, scores

    points = np.random.default_rng(0).uniform(60, 130, (468, 3)).astype(np.float32)
    presence = [np.array([9], np.float32)]
    mesh = Mesh(
        lambda picture: (points, presence[0]),
        Detector(near, SHORT_RANGE, 0.5),
        static=False,
        max_faces=1,
        min_presence=0.5,
    )
    frame = np.zeros((256, 256, 3), np.uint8)
    assert [len(mesh.find(frame)) for _ in range(4)] == [1, 1, 1, 1]
    assert asked == [(1, 128, 128, 3)]
    presence[0] = np.array([-9], np.float32)
    assert [len(mesh.find(frame)) for _ in range(2)] == [0, 0]  # lost, and then searched for
    assert len(asked) == 2
    assert MESH_SIZE == 192


def _both(static: bool) -> tuple[FaceSearch, FaceSearch]:
    ours = open_search(static=static, max_faces=1, min_confidence=0.5, refined=False)
    assert isinstance(ours, GraphSearch)
    return ours, MediaPipeSearch(static=static, max_faces=1, min_confidence=0.5, refined=False)


def _distance(ours: Floats, theirs: Floats) -> float:
    """Mean distance of the points, percent of that between the outer corners of the eyes."""
    eyes = np.linalg.norm(theirs[33] - theirs[263])
    return float(100 * np.linalg.norm(ours - theirs, axis=1).mean() / eyes)


@pytest.mark.slow(seconds=4)
@pytest.mark.parametrize("static", [True, False])
def test_points_are_those_of_mediapipe(shared_data: Path, static: bool) -> None:
    """Equal but for rounding in single pictures; in a stream each region comes from the points before it."""
    for name in CLIPS:
        ours, theirs = _both(static)
        step = 4 if static else 1  # a stream is searched in every frame: MediaPipe loses quick faces else
        for _, frame in itertools.islice(
            read_video(shared_data / "clips" / f"{name}.mp4"), 0, 6 * step, step
        ):
            ((found,), (wanted,)) = ours.follow(frame), theirs.follow(frame)
            assert _distance(found, wanted) < (0.1 if static else 0.5)
        ours.close()
        theirs.close()


@pytest.mark.slow(seconds=3)
def test_a_quick_face_keeps_its_points_where_frames_are_passed_over(shared_data: Path) -> None:
    """Searched in every sixth frame, far points differ as little as they do between two ways to search."""
    frames = [frame for _, frame in itertools.islice(read_video(shared_data / "clips" / "d12.mp4"), 130, 176)]
    every, some = (
        open_search(static=False, max_faces=4, min_confidence=0.5, refined=False) for _ in range(2)
    )
    wanted = [every.follow(frame)[0] for frame in frames]
    found = [some.follow(frame)[0] for frame in frames[::6]]
    far = [_distance(one, other) for one, other in zip(found, wanted[::6], strict=True)]
    assert max(far) < 5  # more than 30 when a region is kept that the face has half left


def test_the_far_detector_sees_what_mediapipes_does(shared_data: Path) -> None:
    ours, theirs = _both(static=True)
    _, picture = next(read_video(shared_data / "clips" / "s13.mp4"))
    frame = cv2.resize(picture, (640, 640))
    found, wanted = ours.far_box(frame), theirs.far_box(frame)
    assert wanted is not None
    assert found == pytest.approx(wanted, abs=2)
    assert ours.far_box(np.zeros((50, 70, 3), np.uint8)) is None


def test_without_openvino_mediapipe_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    search = open_search(static=True, max_faces=1, min_confidence=0.5, refined=False)
    assert isinstance(search, MediaPipeSearch)
    search.close()


def test_missing_graphs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="mediapipe"):
        graphs.open_graphs()
