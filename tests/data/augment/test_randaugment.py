"""RandAugment: what is drawn, that it does what Pillow does, and that a clip is treated as one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from s2d_edge.data.augment.randaugment import (
    NAMES,
    RECOLOURING,
    Operation,
    draw_operations,
    recolour,
    warps,
)
from s2d_edge.data.augment.recolour import RECOLOUR
from s2d_edge.data.augment.transforms import GREY, apply_geometry, draw_geometry, warp_maps

MOVING = tuple(name for name in NAMES if name not in RECOLOURING)
SIZE = 48


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _picture(seed: int = 7) -> NDArray[np.uint8]:
    """(48, 48, 3): coloured blobs that use neither end of the scale."""
    noise = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    blurred = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)), dtype=np.float64)
    low, high = blurred.min(axis=(0, 1)), blurred.max(axis=(0, 1))
    scaled: NDArray[np.uint8] = (30 + 190 * (blurred - low) / (high - low)).astype(np.uint8)
    return scaled


def _still(clips: int = 1, frames: int = 3) -> torch.Tensor:
    """(B, T, 48, 48, 3) float32, the same picture everywhere."""
    return torch.from_numpy(_picture()).float().expand(clips, frames, -1, -1, -1)


def _apply(clip: torch.Tensor, operations: list[tuple[Operation, ...]]) -> torch.Tensor:
    """Apply the operations like the training feed."""
    drawn = draw_geometry(len(clip), _generator()).after(warps(operations))
    return recolour(apply_geometry(clip, drawn), operations)


def test_operations_are_drawn_half_of_the_time_around_the_magnitude() -> None:
    drawn = draw_operations(1000, _generator(), count=4, magnitude=7)
    flat = [operation for operations in drawn for operation in operations]
    assert max(map(len, drawn)) == 4
    assert 1800 < len(flat) < 2200
    assert {operation.name for operation in flat} == set(NAMES)
    severity = torch.tensor([abs(operation.level) for operation in flat])
    assert severity.mean() == pytest.approx(0.7, abs=0.01)
    assert severity.std() == pytest.approx(0.05, abs=0.01)
    assert 0.4 < np.mean([operation.level > 0 for operation in flat]) < 0.6


def test_no_magnitude_leaves_the_scale() -> None:
    for magnitude, limit in ((10.0, 1.0), (0.0, 0.2)):
        drawn = draw_operations(200, _generator(), count=3, magnitude=magnitude)
        assert max(abs(operation.level) for operations in drawn for operation in operations) <= limit


def test_the_generator_alone_decides() -> None:
    first = draw_operations(20, _generator(3), count=4, magnitude=7)
    torch.manual_seed(99)
    assert draw_operations(20, _generator(3), count=4, magnitude=7) == first
    assert draw_operations(20, _generator(4), count=4, magnitude=7) != first


def test_without_operations_nothing_is_drawn_and_nothing_changes() -> None:
    generator = _generator()
    before = generator.get_state()
    operations = draw_operations(2, generator, count=0, magnitude=7)
    assert torch.equal(generator.get_state(), before)
    clip = _still(clips=2)
    assert recolour(clip, operations) is clip
    untouched = draw_geometry(2, _generator(), flip=0.5, rotate_deg=10, shift=0.1, crop=0.5)
    after = untouched.after(warps(operations))
    assert torch.equal(after.warp, untouched.warp)
    assert not after.filled.any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [1.0, -1.0])
def test_every_operation_changes_all_frames_equally(name: str, level: float) -> None:
    clip = _still()
    changed = _apply(clip, [(Operation(name, level),)])
    assert changed.dtype == torch.float32
    assert changed.shape == clip.shape
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert (changed - clip).abs().mean() > 1
    assert changed.std() > 1  # something is left to see
    assert torch.equal(changed, changed[:, :1].expand_as(changed))


def test_operations_follow_one_another() -> None:
    clip = _still()
    twice = _apply(clip, [(Operation("invert", 0.5), Operation("invert", -0.5))])
    assert torch.allclose(twice, clip, atol=1e-2)
    one_way = _apply(clip, [(Operation("brightness", 0.8), Operation("invert", 0.5))])
    other_way = _apply(clip, [(Operation("invert", 0.5), Operation("brightness", 0.8))])
    assert (one_way - other_way).abs().max() > 10


def test_every_clip_of_a_batch_has_its_own() -> None:
    clip = _still(clips=3)
    changed = _apply(clip, [(Operation("invert", 0.7),), (), (Operation("translate_x", 0.7),)])
    assert torch.allclose(changed[0], 255 - clip[0], atol=1e-2)
    assert torch.allclose(changed[1], clip[1], atol=1e-2)
    assert (changed[2] - clip[2]).abs().mean() > 1


@pytest.mark.parametrize("name", ["autocontrast", "equalize", "contrast"])
def test_statistics_are_taken_over_the_whole_clip(name: str) -> None:
    # Frames that differ in brightness alone. Measured one by one, all would come to the same brightness.
    shade = torch.tensor([0.0, 40.0, 80.0]).view(1, 3, 1, 1, 1)
    changed = recolour(_still() * 0.4 + shade, [(Operation(name, 0.9),)])
    means = changed.mean(dim=(0, 2, 3, 4))
    assert means.diff().min() > 30


def test_a_clip_of_one_level_has_no_contrast_to_stretch() -> None:
    flat = torch.full((1, 2, SIZE, SIZE, 3), 77.0)
    assert torch.allclose(recolour(flat, [(Operation("autocontrast", 0.7),)]), flat, atol=1e-3)


def _solarize_add(picture: Image.Image, amount: int) -> Image.Image:
    return picture.point([min(255, k + amount) if k < 128 else k for k in range(256)] * 3)


# As timm calls Pillow at level ± 7 of 10.
AS_PILLOW: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "autocontrast": lambda picture, _: ImageOps.autocontrast(picture),
    "equalize": lambda picture, _: ImageOps.equalize(picture),
    "invert": lambda picture, _: ImageOps.invert(picture),
    "posterize": lambda picture, _: ImageOps.posterize(picture, 2),
    "solarize": lambda picture, _: ImageOps.solarize(picture, 77),
    "solarize_add": lambda picture, _: _solarize_add(picture, 77),
    "colour": lambda picture, sign: ImageEnhance.Color(picture).enhance(1 + sign * 0.63),
    "contrast": lambda picture, sign: ImageEnhance.Contrast(picture).enhance(1 + sign * 0.63),
    "brightness": lambda picture, sign: ImageEnhance.Brightness(picture).enhance(1 + sign * 0.63),
    "sharpness": lambda picture, sign: ImageEnhance.Sharpness(picture).enhance(1 + sign * 0.63),
}


def test_every_name_has_its_operation() -> None:
    assert tuple(RECOLOUR) == RECOLOURING == tuple(AS_PILLOW)


@pytest.mark.parametrize("name", RECOLOURING)
@pytest.mark.parametrize("sign", [1, -1])
def test_colours_equal_pillows(name: str, sign: int) -> None:
    expected = np.asarray(AS_PILLOW[name](Image.fromarray(_picture()), sign), dtype=np.float32)
    changed = recolour(_still(frames=1), [(Operation(name, sign * 0.7),)])
    # Pillow rounds before it blends and again afterwards.
    assert np.abs(changed[0, 0].numpy() - expected).max() < 1.5


def _affine(level: float, name: str) -> tuple[float, ...]:
    """Pillow's coefficients as timm has them: x' = ax + by + c, y' = dx + ey + f, from the corner."""
    shear, shift = 0.3 * level, 0.45 * level * SIZE
    return {
        "shear_x": (1, shear, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, shear, 1, 0),
        "translate_x": (1, 0, shift, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, shift),
    }[name]


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("level", [0.7, -0.7])
def test_pictures_move_as_pillow_moves_them_into_grey(name: str, level: float) -> None:
    picture = Image.fromarray(_picture())
    if name == "rotate":
        expected = picture.rotate(30 * level, Image.Resampling.BILINEAR, fillcolor=(128, 128, 128))
    else:
        expected = picture.transform(
            picture.size,
            Image.Transform.AFFINE,
            _affine(level, name),
            Image.Resampling.BILINEAR,
            fillcolor=(128, 128, 128),
        )
    moved = _apply(_still(frames=1), [(Operation(name, level),)])[0, 0]
    wrong = (moved - torch.from_numpy(np.array(expected)).float()).abs().amax(dim=2) > 2.5
    assert wrong.float().mean() < 0.02  # along the picture's edge the two round differently
    assert (moved == GREY).all(dim=2).float().mean() > 0.02


def test_several_moves_are_made_in_the_order_drawn() -> None:
    first, second = Operation("rotate", 0.9), Operation("translate_x", 0.4)
    at_once = _apply(_still(frames=1), [(first, second)])
    in_turn = _apply(_apply(_still(frames=1), [(first,)]), [(second,)])
    swapped = _apply(_still(frames=1), [(second, first)])
    middle = (..., slice(16, 32), slice(16, 32), slice(None))
    assert (at_once - in_turn)[middle].abs().mean() < 3
    assert (at_once - swapped)[middle].abs().mean() > 10


def test_the_operations_come_before_the_crop() -> None:
    translated = [(Operation("translate_x", 1.0),)]
    zoomed = draw_geometry(1, _generator(), crop=0.2)
    at_once = zoomed.after(warps(translated))
    centre = torch.tensor([[0.0], [0.0], [1.0]])
    shift = (at_once.warp - zoomed.warp) @ centre
    # By .45 of the whole picture's side, not of the crop's.
    assert torch.allclose(shift, torch.tensor([[[0.9], [0.0]]]), atol=1e-6)


@pytest.mark.parametrize("name", MOVING)
def test_a_landmark_ends_in_the_same_place_on_pictures_and_maps(name: str) -> None:
    clip = torch.full((1, 1, SIZE, SIZE, 3), 10.0)
    clip[0, 0, 36:40, 36:40] = 250
    maps = torch.zeros(1, 1, SIZE // 4, SIZE // 4)  # coarser, as landmark maps are
    maps[0, 0, 9, 9] = 1
    drawn = draw_geometry(1, _generator(), crop=0.8).after(warps([(Operation(name, 0.5),)]))
    seen = apply_geometry(clip, drawn)[0, 0, :, :, 0]
    seen = torch.where(seen == GREY, 0, (seen - 10).clamp(min=0))
    moved = warp_maps(maps, drawn)[0, 0]

    def centre(weights: torch.Tensor) -> list[float]:
        """(row, column) of the centre of mass, as fractions."""
        steps = (torch.arange(len(weights)) + 0.5) / len(weights)
        mass = weights / weights.sum()
        return [float((mass.sum(dim=1) * steps).sum()), float((mass.sum(dim=0) * steps).sum())]

    assert centre(seen) == pytest.approx(centre(moved), abs=0.03)
    assert math.dist(centre(seen), (38 / SIZE, 38 / SIZE)) > 0.05
