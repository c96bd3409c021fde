"""The pure part of animated stills: mesh, warp, resting faces, curves."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from s2d_edge.core.errors import DataError
from s2d_edge.data.animate.camera import plan_camera
from s2d_edge.data.animate.clip import ClipPlan, animate, expression_moves, plan_clip
from s2d_edge.data.animate.head import Head
from s2d_edge.data.animate.landmarks import drawn_along
from s2d_edge.data.animate.mesh import HOLES, MOUTH, OVAL, hole_triangles, skin_triangles
from s2d_edge.data.animate.motion import plan_motion
from s2d_edge.data.animate.resting import RestingFace, learn_resting_face, place
from s2d_edge.data.animate.warp import FaceWarp
from tests.data.animate.faces import Floats, rims_gap, round_face, varied

NOWHERE = np.zeros((468, 2))


def picture(side: int = 96) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def resting() -> RestingFace:
    return learn_resting_face(varied(200, 0.0, seed=1), {"open": varied(200, 1.0, seed=2)})


def plan(number: int = 0, *, onset: bool = False, frames: int = 12) -> ClipPlan:
    return plan_clip(3, "someone.jpg", number, frames=frames, fps=8.0, onset=onset)


def test_the_mesh_is_one_sheet_without_holes() -> None:
    triangles = np.concatenate([skin_triangles(), hole_triangles()])
    assert len(skin_triangles()) == 852
    assert len(hole_triangles()) == 46
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, uses = np.unique(edges, axis=0, return_counts=True)
    assert set(uses) == {1, 2}
    assert set(unique[uses == 1].ravel()) == set(OVAL)  # the only border is the outline
    assert 468 - len(unique) + len(triangles) == 1  # Euler's number of a disc


def test_without_movement_the_picture_is_unchanged() -> None:
    original = picture()
    warp = FaceWarp(original, round_face())
    still = np.zeros_like(warp.points)
    np.testing.assert_array_equal(warp.moved(NOWHERE, still), original)
    assert not warp.shifts(NOWHERE, still).any()  # by arithmetic too, not by the short cut alone


def test_the_border_stays_and_the_face_moves() -> None:
    points = round_face()
    warp = FaceWarp(picture(), points)
    head = Head(points, warp.points)
    turned = head.moved(np.array([0.06, -0.04, 0.04]), np.array([0.02, -0.02]), 0.02)
    shifts = warp.shifts(np.full((468, 2), 2.0), turned)
    rim = np.concatenate([shifts[0], shifts[-1], shifts[:, 0], shifts[:, -1]])
    assert np.abs(rim).max() < 0.5
    assert np.abs(shifts[40:56, 40:56]).min(axis=(0, 1)).max() > 1.0


def test_a_face_moved_by_whole_pixels_is_copied() -> None:
    """Inside a face moved by whole pixels, every pixel shows its own place before."""
    original = picture()
    warp = FaceWarp(original, round_face())
    moved = warp.moved(np.full((468, 2), [2.0, -3.0]), np.zeros_like(warp.points))
    # Away from eyes, mouth and outline, where smoothing meets other movements.
    np.testing.assert_allclose(moved[44:52, 44:52].astype(int), original[47:55, 42:50].astype(int), atol=2)


def test_lips_that_would_cross_meet_and_hide_the_teeth() -> None:
    black_mouth = np.full((96, 96, 3), 200, np.uint8)
    points = round_face()
    lips = points[[*MOUTH.upper, *MOUTH.lower[::-1]]]
    cv2.fillPoly(black_mouth, [np.round(lips * 0.9 + lips.mean(axis=0) * 0.1).astype(np.int32)], (0, 0, 0))
    away = points - lips.mean(axis=0)
    shut = -1.2 * away * (0, 1) * np.exp(-0.5 * (away**2).sum(axis=1, keepdims=True) / 12**2)
    moved = FaceWarp(black_mouth, points).moved(shut, np.zeros((1, 2)))
    assert (moved < 100).sum() < 0.2 * (black_mouth < 100).sum()


def test_shut_lips_do_not_open() -> None:
    points = round_face()
    seam = (points[list(MOUTH.upper)] + points[list(MOUTH.lower)]) / 2
    points[list(MOUTH.upper)] = points[list(MOUTH.lower)] = seam
    line = np.full((96, 96, 3), 200, np.uint8)
    cv2.polylines(line, [np.round(seam - 0.5).astype(np.int32)], False, (0, 0, 0))
    opened = NOWHERE.copy()
    opened[list(MOUTH.lower[1:-1]), 1] = 6.0
    moved = FaceWarp(line, points).moved(opened, np.zeros((1, 2)))
    assert 0 < (moved < 100).sum() < 3 * (line < 100).sum()


def test_near_the_border_a_mouth_moves_whole_or_less() -> None:
    low = round_face((48.0, 76.0), 60.0)  # the lower lip touches the picture's end
    opened = NOWHERE.copy()
    opened[list(MOUTH.lower), 1] = -4.0
    shifts = FaceWarp(picture(), low).shifts(opened, np.zeros((1, 2)))
    assert np.abs(shifts).max() < 4.0
    assert np.isfinite(shifts).all()


def test_a_face_beyond_the_picture_breaks_nothing() -> None:
    for centre in ((0.0, 48.0), (96.0, 96.0), (48.0, -30.0)):
        points = round_face(centre)
        warp = FaceWarp(picture(), points)
        head = Head(points, warp.points).moved(np.full(3, 0.1), np.full(2, 0.05), 0.1)
        assert np.isfinite(warp.shifts(np.full((468, 2), 3.0), head)).all()


def test_the_mesh_is_drawn_along_to_lids_and_lips() -> None:
    plain = round_face()
    close = plain.copy()
    close[list(MOUTH.lower), 1] += 6.0
    drawn = drawn_along(plain, close)
    np.testing.assert_allclose(drawn[list(MOUTH.lower)], close[list(MOUTH.lower)])
    chin = max(OVAL, key=lambda point: plain[point, 1])
    assert 0.5 < drawn[chin, 1] - plain[chin, 1] < 6.0
    np.testing.assert_allclose(drawn_along(plain, plain), plain)


def test_placing_undoes_a_similarity() -> None:
    shape = round_face((0.0, 0.0), 1.0)
    turn = 30 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    points: Floats = shape @ turn.T + (50.0, 40.0)
    placed = place(shape, points)
    np.testing.assert_allclose(placed.turn, turn, atol=1e-9)
    np.testing.assert_allclose(placed.shape(points), shape, atol=1e-9)


def test_an_open_mouth_is_expression_and_a_long_face_is_not(resting: RestingFace) -> None:
    face = varied(1, 1.5, seed=9)[0]
    rest = face - resting.expression_of(face)
    size = np.ptp(face[:, 0])
    upper, lower = list(MOUTH.upper), list(MOUTH.lower)
    assert np.abs(rest[lower, 1] - rest[upper, 1]).max() < 1e-6 * size  # the lips meet
    outline = list(OVAL)
    assert np.abs(rest[outline] - face[outline]).max() < 0.05 * size  # the person stays


def test_turning_a_face_turns_its_expression(resting: RestingFace) -> None:
    face = varied(1, 1.0, seed=5)[0]
    turn = 1.7 * np.array([[0.8, -0.6], [0.6, 0.8]])
    turned = resting.expression_of(face @ turn.T + (9, -4))
    np.testing.assert_allclose(turned, resting.expression_of(face) @ turn.T, atol=1e-8)


def test_too_few_faces_are_refused() -> None:
    with pytest.raises(DataError, match=r"19 .* 60"):
        learn_resting_face(varied(19, 0.0, seed=1), {"open": varied(60, 1.0, seed=2)})


@pytest.mark.parametrize("frames", [4, 5, 16, 64])
def test_curves_start_and_end_at_rest_and_peak_at_the_apex(frames: int) -> None:
    shapes = set()
    for seed in range(40):
        for onset in (False, True):
            motion = plan_motion(np.random.default_rng(seed), frames=frames, fps=8.0, onset=onset)
            curve, apex = motion.intensity, motion.apex
            assert curve.shape == (frames,)
            assert curve.min() >= 0
            assert curve.max() == curve[apex] == 1
            for array in (motion.twitch, motion.blink, motion.turn, motion.shift, motion.growth):
                assert not array[apex].any()
            if onset:
                assert curve[0] == 0
                assert (np.diff(curve) >= 0).all()
            else:
                shapes.add((curve[0] == 0, curve[-1] == 0))
    assert shapes == {(True, False), (False, True), (True, True)}  # comes, goes, comes and goes


def test_the_place_of_the_photograph_reveals_no_direction() -> None:
    apexes = [
        plan_motion(np.random.default_rng(seed), frames=16, fps=8.0, onset=True).apex for seed in range(400)
    ]
    late = np.mean([apex >= 8 for apex in apexes])
    assert 0.4 < late < 0.6
    assert (min(apexes), max(apexes)) == (6, 9)


def test_the_camera_leaves_the_apex_alone_and_changes_others() -> None:
    original = picture()
    changed = occluded = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        camera = plan_camera(rng, frames=12, fps=8.0, apex=seed % 12)
        np.testing.assert_array_equal(camera.take(original, seed % 12), original)
        changed += any((camera.take(original, t) != original).any() for t in (0, 11))
        occluded += camera.passer is not None
    assert changed == 60
    assert 2 <= occluded <= 20


def test_the_apex_is_the_photograph(resting: RestingFace) -> None:
    original, points = picture(), varied(1, 1.0, seed=4)[0] * 0.7 + 20
    for number in range(3):
        planned = plan(number)
        frames = animate(original, points, resting, planned)
        np.testing.assert_array_equal(frames[planned.motion.apex], original)
        others = np.delete(frames, planned.motion.apex, axis=0)
        assert all((frame != original).any() for frame in others)


def test_an_onset_begins_at_rest_and_reversed_it_is_an_offset(resting: RestingFace) -> None:
    points = varied(1, 1.0, seed=4)[0]
    planned = plan(onset=True)
    calm = replace(
        planned,
        motion=replace(planned.motion, liveliness=0.0, blink=np.zeros(12)),
    )
    moves = expression_moves(points, resting, calm)
    np.testing.assert_allclose(moves[0], -resting.expression_of(points))
    assert not moves[planned.motion.apex :].any()
    gap = [mouth_gap(points + move) for move in moves]
    assert gap[0] < 1e-6 < gap[-1]
    assert (np.diff(gap) >= -1e-9).all()
    assert (np.diff(gap[::-1]) <= 1e-9).all()


def mouth_gap(points: Floats) -> float:
    return float(np.abs(points[list(MOUTH.lower), 1] - points[list(MOUTH.upper), 1]).max())


def test_a_face_that_expresses_little_twitches_instead(resting: RestingFace) -> None:
    """A face's amount of movement does not depend on its expression, as far as that leaves room."""

    def moved(smile: float, number: int) -> float:
        points = varied(1, smile, seed=4)[0]
        planned = plan(number)
        planned = replace(planned, motion=replace(planned.motion, blink=np.zeros(12)))
        moves = expression_moves(points, resting, planned)
        return float(np.sqrt((moves**2).sum(axis=2).mean()) / np.ptp(points[:, 0]))

    calm, smiling = (np.array([moved(smile, k) for k in range(12)]) for smile in (0.0, 0.3))
    assert calm.min() > 0.005
    assert 0.7 < np.median(calm) / np.median(smiling) < 1.4


def test_plans_depend_on_seed_still_and_number_alone() -> None:
    def draw(seed: int, still: str, number: int) -> bytes:
        planned = plan_clip(seed, still, number, frames=8, fps=8.0, onset=False)
        return planned.motion.turn.tobytes() + planned.camera.gain.tobytes()

    assert draw(0, "a.jpg", 0) == draw(0, "a.jpg", 0)
    assert len({draw(0, "a.jpg", 0), draw(1, "a.jpg", 0), draw(0, "b.jpg", 0), draw(0, "a.jpg", 1)}) == 4


def test_eyes_shut_in_a_blink(resting: RestingFace) -> None:
    points = varied(1, 0.0, seed=4)[0]
    planned = plan()
    motion = replace(planned.motion, blink=np.ones(12), intensity=np.ones(12), liveliness=0.0)
    shut = points + expression_moves(points, resting, replace(planned, motion=motion))[0]
    eyes = [hole for hole in HOLES if hole is not MOUTH]
    for hole in eyes:
        np.testing.assert_allclose(shut[list(hole.upper)], shut[list(hole.lower)], atol=1e-9)
    assert rims_gap(points) > 1
