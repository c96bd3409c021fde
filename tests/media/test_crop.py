"""The face crop: where it lands, how it turns, how it shrinks, what it refuses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.media.crop import align_crop, resize_frame, whole_picture
from tests.pictures import mesh_at, plain

RED, GREEN = (200, 0, 0), (0, 200, 0)


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
    with pytest.raises(DataError, match="not all finite"):
        align_crop(frame, np.full_like(face, np.nan), recipe)
    with pytest.raises(DataError, match="same point"):
        align_crop(frame, np.ones_like(face), recipe)
    with pytest.raises(DataError, match="too small"):
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
