"""The colour operations of RandAugment on the frames of one clip.

Each takes frames (T, 3, H, W) float RGB in [0, 1] and a level in [-1, 1], see
:class:`~s2d_edge.data.augment.randaugment.Operation`. Each returns the same shape and range. The severities
are those of the "increasing" operations in ``timm/data/auto_augment.py``. On whole numbers the results are
Pillow's, but for its rounding. Statistics of a picture are taken over the whole clip, so that frames do not
flicker; the official code measures every frame by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from kornia import enhance
from torch import Tensor


def _as_one_picture(operation: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
    """Apply ``operation`` to the frames, one below the other: its statistics are then the clip's."""
    tall = operation(frames.transpose(0, 1).flatten(1, 2))  # (T, 3, H, W) -> (3, T·H, W)
    changed: Tensor = tall.unflatten(1, (len(frames), -1)).transpose(0, 1)  # and back
    return changed


def _stretch(picture: Tensor) -> Tensor:
    """(3, H, W), each channel from its darkest to its brightest value; a flat one stays as it is."""
    low, high = picture.amin(dim=(1, 2), keepdim=True), picture.amax(dim=(1, 2), keepdim=True)
    spread = high - low
    return torch.where(spread < 1 / 255, picture, (picture - low) / spread.clamp(min=1 / 255))


def _autocontrast(frames: Tensor, level: float) -> Tensor:
    return _as_one_picture(_stretch, frames)


def _equalize(frames: Tensor, level: float) -> Tensor:
    return _as_one_picture(enhance.equalize, frames)


def _invert(frames: Tensor, level: float) -> Tensor:
    return enhance.invert(frames)


def _posterize(frames: Tensor, level: float) -> Tensor:
    # 4 bits down to 1; timm goes down to 0 at full severity, which is a black picture.
    return enhance.posterize(frames, max(1, 4 - int(4 * abs(level))))


def _solarize(frames: Tensor, level: float) -> Tensor:
    return enhance.solarize(frames, (256 - int(256 * abs(level))) / 255)


def _solarize_add(frames: Tensor, level: float) -> Tensor:
    # Not kornia's ``additions``: only what is darker than 128 is brightened, and nothing inverted.
    brighter = (frames + int(110 * abs(level)) / 255).clamp(max=1)
    return torch.where(frames < 128 / 255, brighter, frames)


def _factor(level: float) -> float:
    """0.1 to 1.9, where 1 changes nothing."""
    return 1 + 0.9 * level


def _colour(frames: Tensor, level: float) -> Tensor:
    return enhance.adjust_saturation_with_gray_subtraction(frames, _factor(level))


def _contrast(frames: Tensor, level: float) -> Tensor:
    return _as_one_picture(
        lambda picture: enhance.adjust_contrast_with_mean_subtraction(picture, _factor(level)), frames
    )


def _brightness(frames: Tensor, level: float) -> Tensor:
    return enhance.adjust_brightness_accumulative(frames, _factor(level))


def _sharpness(frames: Tensor, level: float) -> Tensor:
    return enhance.sharpness(frames, _factor(level))


RECOLOUR: dict[str, Callable[[Tensor, float], Tensor]] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "invert": _invert,
    "posterize": _posterize,
    "solarize": _solarize,
    "solarize_add": _solarize_add,
    "colour": _colour,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
}
