"""The face crop, shared by data preparation and the live host."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.core.errors import DataError

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Points = NDArray[np.float32]  # (468 or more, 2) pixels; (0, 0) is the frame's upper left corner

# Corners of the eyes among FaceMesh's points; the eye that is on the left of the picture comes first.
LEFT_EYE = (33, 133)
RIGHT_EYE = (362, 263)
MESH_POINTS = 468


def align_crop(frame: NDArray[Any], points: NDArray[Any], recipe: CropRecipe) -> Picture:
    """Cut a face out of a frame: level the eyes, take the square around it, scale it to ``recipe.size``.

    Places outside the frame repeat the frame's nearest pixels.

    Args:
        frame: (H, W, 3) uint8 RGB.
        points: (468 or more, 2) float, pixels, as FaceMesh orders them.
        recipe: alignment, margin and size of the crop.

    Returns:
        (S, S, 3) uint8 RGB with S = ``recipe.size``.

    Raises:
        DataError: a frame or points of another shape or dtype, or points that span no area.
    """
    _check_picture(frame)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < MESH_POINTS:
        raise DataError(f"landmarks have shape {points.shape}; give ({MESH_POINTS} or more, 2)")
    if not np.isfinite(points).all():
        raise DataError("landmarks are not all finite; find the face again before cropping")
    mesh = points[:MESH_POINTS].astype(np.float64)
    turn = _levelling_turn(mesh) if recipe.alignment == "eyes" else np.eye(2)
    turned = mesh @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    side = float((high - low).max()) * (1 + recipe.margin)
    if side < 2:
        raise DataError(
            f"the face spans {side:.1f} pixels, too small to crop; use a picture with a larger face"
        )
    centre = turn.T @ ((low + high) / 2)
    return _warp(frame, turn, centre, side, recipe.size)


def whole_picture(frame: NDArray[Any], size: int) -> Picture:
    """Fit the whole frame into one square picture, for training and evaluation pictures without a face.

    The frame keeps its proportions and is centred; the rest of the square repeats its edge pixels. A
    centre square would cut off a face at the rim, and stretching or black bars would teach the network
    something about the camera.

    Args:
        frame: (H, W, 3) uint8 RGB.
        size: side of the square, pixels.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    _check_picture(frame)
    height, width = frame.shape[:2]
    scale = size / max(height, width)
    inner = _resize(frame, max(1, round(width * scale)), max(1, round(height * scale)))
    top, left = (size - inner.shape[0]) // 2, (size - inner.shape[1]) // 2
    bottom, right = size - inner.shape[0] - top, size - inner.shape[1] - left
    square: Picture = cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_REPLICATE)
    return square


def resize_frame(frame: NDArray[Any], size: int) -> Picture:
    """Resize an already cropped frame to the network's size; a frame of that size is returned as it is.

    Proportions are not kept: a crop made for the network is square, or meant to be squeezed.

    Args:
        frame: (H, W, 3) uint8 RGB.
        size: side of the result, pixels.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    _check_picture(frame)
    return _resize(frame, size, size)


def _check_picture(frame: NDArray[Any]) -> None:
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or 0 in frame.shape:
        raise DataError(f"a frame is {frame.dtype} {frame.shape}; give uint8 (H, W, 3) in RGB")


def _levelling_turn(mesh: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 2) rotation that makes the line between the eyes' centres horizontal."""
    across = mesh[list(RIGHT_EYE)].mean(axis=0) - mesh[list(LEFT_EYE)].mean(axis=0)
    length = math.hypot(*across)
    if length == 0:
        raise DataError("both eyes are at the same point; find the face again before cropping")
    cos, sin = across / length
    return np.array([[cos, sin], [-sin, cos]])


def _warp(
    frame: NDArray[Any], turn: NDArray[np.float64], centre: NDArray[np.float64], side: float, size: int
) -> Picture:
    """Resample the turned square of ``side`` pixels around ``centre`` to ``size`` pixels."""
    height, width = frame.shape[:2]
    # The part of the frame the turned square can touch, and a little more for the interpolation.
    reach = side / 2 * float(np.abs(turn).sum(axis=1).max()) + 2
    x0, y0 = (
        int(np.clip(math.floor(c - reach), 0, n - 1)) for c, n in zip(centre, (width, height), strict=True)
    )
    x1, y1 = (
        int(np.clip(math.ceil(c + reach) + 1, 1, n)) for c, n in zip(centre, (width, height), strict=True)
    )
    part = frame[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    shrink = np.ones(2)
    if side > size:
        # warpAffine reads four pixels whatever the scale, and would alias: average down to the final
        # scale first. By the exact scale, not by a power of two, so that sharpness does not jump while
        # a face comes nearer.
        wanted = [max(1, round(n * size / side)) for n in (part.shape[1], part.shape[0])]
        shrink = np.array(wanted) / (part.shape[1], part.shape[0])
        part = cv2.resize(part, wanted, interpolation=cv2.INTER_AREA)
    # Output pixel (u, v) shows frame point centre + turnᵀ·((u, v) + ½ − size/2)·side/size. Pixel centres
    # lie at half integers in this formula, as in FaceMesh's points, and at integers in OpenCV.
    step = turn.T * (side / size)
    origin = centre + step @ np.full(2, 0.5 - size / 2) - (x0, y0)
    matrix = np.column_stack([step * shrink[:, None], origin * shrink - 0.5])  # (2, 3)
    crop: Picture = cv2.warpAffine(
        part,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return crop


def _resize(frame: NDArray[Any], width: int, height: int) -> Picture:
    if frame.shape[:2] == (height, width):
        return frame
    shrinks = width < frame.shape[1] or height < frame.shape[0]
    resized: Picture = cv2.resize(
        frame, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return resized
