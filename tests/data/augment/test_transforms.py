"""Augmentation is equal for all frames of a clip, repeatable, and the identity when switched off."""

from __future__ import annotations

import torch

from s2d_edge.data.augment.transforms import (
    GREY,
    Augmentation,
    apply_colour,
    apply_geometry,
    draw_colour,
    draw_geometry,
    draw_rectangles,
    erase,
)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _clip(b: int = 3, t: int = 4, size: int = 24) -> torch.Tensor:
    return torch.randint(0, 256, (b, t, size, size, 3), dtype=torch.uint8, generator=_generator(7))


def test_nothing_drawn_changes_nothing() -> None:
    clip = _clip()
    drawn = draw_geometry(3, _generator())
    assert torch.allclose(apply_geometry(clip, drawn), clip.float(), atol=1e-2)
    assert torch.equal(apply_colour(clip.float(), draw_colour(3, _generator())), clip.float())
    assert torch.equal(erase(clip.float(), draw_rectangles(3, _generator(), probability=0)), clip.float())


def test_all_frames_of_a_clip_move_equally() -> None:
    still = _clip(t=1).expand(-1, 4, -1, -1, -1)
    drawn = draw_geometry(3, _generator(), flip=0.5, rotate_deg=20, scale=0.2, shift=0.1)
    moved = apply_geometry(still, drawn)
    factors = draw_colour(3, _generator(), brightness=0.3, contrast=0.3, saturation=0.3)
    shaded = apply_colour(moved, factors)
    hidden = erase(shaded, draw_rectangles(3, _generator(), probability=1))
    for clip in (moved, shaded, hidden):
        assert torch.allclose(clip, clip[:, :1].expand_as(clip), atol=1e-3)
    assert not torch.allclose(moved, still.float(), atol=1)
    assert hidden.min() >= 0
    assert hidden.max() <= 255


def test_clips_of_a_batch_move_differently() -> None:
    same = _clip(b=1).expand(4, -1, -1, -1, -1)
    moved = apply_geometry(same, draw_geometry(4, _generator(), rotate_deg=20))
    assert not torch.allclose(moved[0], moved[1], atol=1)


def test_a_mirror_swaps_left_and_right_only_where_drawn() -> None:
    clip = _clip(b=2)
    drawn = Augmentation(
        mirrored=torch.tensor([True, False]),
        warp=torch.eye(2, 3).expand(2, -1, -1).contiguous(),
        filled=torch.zeros(2, dtype=torch.bool),
    )
    moved = apply_geometry(clip, drawn)
    assert torch.allclose(moved[0], clip[0].flip(2).float(), atol=1e-2)
    assert torch.allclose(moved[1], clip[1].float(), atol=1e-2)


def test_a_shift_moves_the_picture_by_that_fraction() -> None:
    clip = torch.zeros(1, 1, 20, 20, 3)
    clip[:, :, :, 10] = 100
    warp = torch.tensor([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]])  # a quarter of the width, in [-1, 1] units
    off = torch.tensor([False])
    moved = apply_geometry(clip, Augmentation(mirrored=off, warp=warp, filled=off))
    assert moved[0, 0, 10, :, 0].argmax() == 5


def test_erasing_greys_a_rectangle_of_the_stated_size() -> None:
    clip = torch.zeros(64, 1, 50, 50, 3)
    hidden = erase(clip, draw_rectangles(64, _generator(), probability=1))
    share = (hidden == GREY).all(dim=4).float().mean(dim=(1, 2, 3))
    assert share.max() < 0.25
    assert share.min() > 0.01
    some = erase(clip, draw_rectangles(64, _generator(), probability=0.5))
    touched = (some == GREY).flatten(1).any(dim=1).float().mean()
    assert 0.25 < touched < 0.75


def test_equal_generators_draw_equally() -> None:
    first = draw_geometry(5, _generator(3), flip=0.5, rotate_deg=10, scale=0.1, shift=0.1)
    again = draw_geometry(5, _generator(3), flip=0.5, rotate_deg=10, scale=0.1, shift=0.1)
    other = draw_geometry(5, _generator(4), flip=0.5, rotate_deg=10, scale=0.1, shift=0.1)
    assert torch.equal(first.warp, again.warp)
    assert not torch.equal(first.warp, other.warp)


def test_a_random_crop_lies_inside_the_picture_and_is_as_large_as_requested() -> None:
    drawn = draw_geometry(200, _generator(), crop=0.3)
    corners = torch.tensor([[-1.0, -1.0, 1.0, 1.0], [-1.0, 1.0, -1.0, 1.0]])  # (2, 4)
    reached = drawn.warp[:, :, :2] @ corners + drawn.warp[:, :, 2:]  # (B, 2, 4)
    assert reached.abs().max() <= 1 + 1e-5
    area = torch.linalg.det(drawn.warp[:, :, :2])
    assert area.min() > 0.25  # sides are cut at the picture's, so a little below is possible
    assert area.min() < 0.4
    assert area.max() > 0.9
