"""The face crop: its place, turn and scale, and the input that it refuses."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.media.crop import LEFT_EYE, RIGHT_EYE, Points, align_crop, resize_frame, whole_picture
from tests.pictures import mesh_at, plain

RED, GREEN = (200, 0, 0), (0, 200, 0)


@st.composite
def meshes(draw: st.DrawFn, centre: st.SearchStrategy[float], side: st.SearchStrategy[float]) -> Points:
    """A face of any turn whose points, but for the eyes, are shaken."""
    wide = draw(side)
    mesh = mesh_at(draw(centre) - wide / 2, draw(centre) - wide / 2, wide, draw(st.floats(-180, 180)))
    shaken = np.random.default_rng(draw(st.integers(0, 99))).normal(0, 0.05 * wide, mesh.shape)
    shaken[[*LEFT_EYE, *RIGHT_EYE]] = 0
    return (mesh + shaken).astype(np.float32)


def crop_coordinates(crop: NDArray[np.uint8], points: Points) -> NDArray[np.float64]:
    """The places of points of the frame in a crop of it, where red is the frame's x and green its y."""
    size = len(crop)
    v, u = np.mgrid[:size, :size] + 0.5
    plane = np.stack([u.ravel(), v.ravel(), np.ones(size * size)], axis=1)  # (S·S, 3)
    to_frame = np.linalg.lstsq(plane, crop[:, :, :2].reshape(-1, 2) + 0.5, rcond=None)[0]  # (3, 2)
    return np.asarray(np.linalg.solve(to_frame[:2].T, (points - to_frame[2]).T).T)


@given(
    mesh=meshes(st.floats(112, 144), st.floats(20, 60)),
    margin=st.floats(0, 0.5),
    size=st.sampled_from([32, 48, 64, 96]),
)
def test_any_face_is_level_whole_and_as_large_as_the_margin_says(
    mesh: Points, margin: float, size: int
) -> None:
    y, x = np.mgrid[:256, :256].astype(np.uint8)
    crop = align_crop(np.dstack([x, y, y]), mesh, CropRecipe(margin=margin, size=size))
    places = crop_coordinates(crop, mesh)
    left, right = places[list(LEFT_EYE)].mean(axis=0), places[list(RIGHT_EYE)].mean(axis=0)
    assert left[0] < right[0]
    assert left[1] == pytest.approx(right[1], abs=0.4)
    low, high = places.min(axis=0), places.max(axis=0)
    assert (high - low).max() == pytest.approx(size / (1 + margin), abs=0.4)
    assert (low + high) / 2 == pytest.approx([size / 2, size / 2], abs=0.4)


@given(
    mesh=meshes(st.floats(-500, 500), st.floats(4, 2000)),
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    alignment=st.sampled_from(["eyes", "none"]),
)
def test_any_face_gives_the_same_whole_crop_every_time(
    mesh: Points, width: int, height: int, alignment: Literal["eyes", "none"]
) -> None:
    frame = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    recipe = CropRecipe(alignment=alignment, size=48)
    crop = align_crop(frame, mesh, recipe)
    assert (crop.shape, crop.dtype.name) == ((48, 48, 3), "uint8")
    assert frame.min() <= crop.min() <= crop.max() <= frame.max()
    np.testing.assert_array_equal(crop, align_crop(frame.copy(), mesh.copy(), recipe))


@given(width=st.integers(1, 200), height=st.integers(1, 200), size=st.integers(32, 160))
def test_any_picture_fits_whole_into_the_square(width: int, height: int, size: int) -> None:
    frame = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for square in (whole_picture(frame, size), resize_frame(frame, size)):
        assert (square.shape, square.dtype.name) == ((size, size, 3), "uint8")


def test_upright_face_lands_centred_and_scaled() -> None:
    frame = plain(RED, 300, 200)
    frame[60:140, 110:190] = GREEN
    crop = align_crop(frame, mesh_at(110, 60, 80), CropRecipe(margin=0.0, size=64))
    assert crop.shape == (64, 64, 3)
    assert crop.dtype == np.uint8
    assert (crop[1:-1, 1:-1] == GREEN).all()
    grown = align_crop(frame, mesh_at(110, 60, 80), CropRecipe(margin=1.0, size=64))
    green = grown[:, :, 1] > grown[:, :, 0]
    ys, xs = np.nonzero(green)
    assert green.mean() == pytest.approx(0.25, abs=0.02)
    assert (xs.mean(), ys.mean()) == pytest.approx((31.5, 31.5), abs=0.6)


def test_same_size_upright_crop_is_the_frame_itself() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    crop = align_crop(frame, mesh_at(30, 20, 64), CropRecipe(margin=0.0, size=64))
    np.testing.assert_array_equal(crop, frame[20:84, 30:94])


@pytest.mark.parametrize("turn_deg", [-35.0, -10.0, 25.0, 60.0])
def test_turned_face_is_levelled(turn_deg: float) -> None:
    frame = np.zeros((240, 240, 3), np.uint8)
    face = mesh_at(70, 70, 100, turn_deg)
    for eye, colour in (((33, 133), RED), ((362, 263), GREEN)):
        x, y = face[list(eye)].mean(axis=0)
        cv2.circle(frame, (round(float(x)), round(float(y))), 6, colour, -1)
    crop = align_crop(frame, face, CropRecipe(margin=0.2, size=128)).astype(int)
    left, right = (np.argwhere(crop[:, :, channel] > 100).mean(axis=0) for channel in (0, 1))
    assert left[0] == pytest.approx(right[0], abs=1.0)
    assert left[1] < right[1]
    unturned = align_crop(frame, face, CropRecipe(alignment="none", margin=0.2, size=128)).astype(int)
    left, right = (np.argwhere(unturned[:, :, channel] > 100).mean(axis=0) for channel in (0, 1))
    assert abs(left[0] - right[0]) > 3


def test_shrinking_averages_instead_of_aliasing() -> None:
    """A one-pixel checkerboard, shrunk eightfold, is grey; four-pixel interpolation would keep stripes."""
    ys, xs = np.mgrid[:600, :600]
    frame = np.repeat((((xs + ys) % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    crop = align_crop(frame, mesh_at(43, 41, 512, 7.0), CropRecipe(margin=0.0, size=64))
    assert abs(crop.astype(float).mean() - 127.5) < 2
    assert crop.astype(float).std() < 6


def test_face_over_the_rim_repeats_the_edge() -> None:
    frame = plain(RED, 100, 100)
    frame[:, :20] = GREEN
    crop = align_crop(frame, mesh_at(-40, 20, 60), CropRecipe(margin=0.2, size=64))
    assert (crop[:, :40] == GREEN).all()
    beyond = align_crop(frame, mesh_at(-300, -300, 60), CropRecipe(size=64))
    assert (beyond == GREEN).all()


def test_bad_frames_and_points_are_refused() -> None:
    frame, face = plain(RED), mesh_at(10, 10, 40)
    recipe = CropRecipe(size=64)
    with pytest.raises(DataError, match=r"uint8 \(H, W, 3\)"):
        align_crop(frame.astype(np.float32), face, recipe)
    with pytest.raises(DataError, match=r"uint8 \(H, W, 3\)"):
        align_crop(frame[:, :, 0], face, recipe)
    with pytest.raises(DataError, match="468"):
        align_crop(frame, face[:68], recipe)
    with pytest.raises(DataError, match="finite"):
        align_crop(frame, np.full_like(face, np.nan), recipe)
    with pytest.raises(DataError, match="eyes"):
        align_crop(frame, np.ones_like(face), recipe)
    with pytest.raises(DataError, match=r"1\.2 pixels"):
        align_crop(frame, mesh_at(10, 10, 1), recipe)
    with pytest.raises(ConfigError, match=r"crop\.size"):
        CropRecipe(size=8)
    with pytest.raises(ConfigError, match=r"crop\.margin"):
        CropRecipe(margin=-0.1)


def test_whole_picture_keeps_proportions_and_repeats_edges() -> None:
    frame = plain(RED, 200, 100)
    frame[40:60, 90:110] = GREEN
    frame[:5] = frame[-5:] = (0, 0, 200)
    square = whole_picture(frame, 80)
    assert square.shape == (80, 80, 3)
    green = np.argwhere(square[:, :, 1] > 100)
    assert np.ptp(green[:, 0]) == np.ptp(green[:, 1])
    assert (square[:18, :, 2] > 150).all()
    assert whole_picture(plain(RED, 30, 90), 64).shape == (64, 64, 3)


def test_resize_leaves_the_right_size_alone() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert resize_frame(frame, 64) is frame
    assert resize_frame(frame, 48).shape == (48, 48, 3)
    assert resize_frame(frame, 96).shape == (96, 96, 3)
