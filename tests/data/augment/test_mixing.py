"""Mixup and CutMix: what is shown is what the shares say, and switched off nothing is drawn."""

from __future__ import annotations

import pytest
import torch

from s2d_edge.data.augment.mixing import Mixture, draw_mixture


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _levels(clips: int, side: int = 40) -> torch.Tensor:
    """(B, 2, side, side): clip k shows k everywhere."""
    return torch.arange(float(clips)).view(-1, 1, 1, 1).expand(-1, 2, side, side)


def test_switched_off_draws_nothing() -> None:
    generator = _generator()
    before = generator.get_state()
    assert draw_mixture(4, generator, mixup=0, cutmix=0) is None
    assert torch.equal(before, generator.get_state())


def test_mixup_blends_whole_pictures_by_their_shares() -> None:
    mixture = draw_mixture(6, _generator(), mixup=0.8, cutmix=0)
    assert mixture is not None
    assert mixture.box is None
    mixed = mixture.pictures(_levels(6))
    wanted = mixture.share * torch.arange(6) + (1 - mixture.share) * mixture.partner
    torch.testing.assert_close(mixed, wanted.view(-1, 1, 1, 1).expand_as(mixed))


@pytest.mark.parametrize("seed", range(5))
def test_cutmix_shows_the_partner_in_a_box_of_the_stated_area(seed: int) -> None:
    mixture = draw_mixture(8, _generator(seed), mixup=0, cutmix=1.0)
    assert mixture is not None
    mixed = mixture.pictures(_levels(8, side=200))
    for k in range(8):
        partner = int(mixture.partner[k])
        assert set(mixed[k].unique().tolist()) <= {float(k), float(partner)}
        if partner != k:
            own = float((mixed[k] == k).float().mean())
            assert own == pytest.approx(float(mixture.share[k]), abs=0.02)


def test_a_box_lies_at_the_same_place_in_pictures_and_maps() -> None:
    box = torch.tensor([[0.5, 0.0, 1.0, 0.5], [0.0, 0.0, 0.0, 0.0]])
    mixture = Mixture(
        own=torch.arange(2), partner=torch.tensor([1, 0]), share=torch.tensor([0.75, 1.0]), box=box
    )
    for side in (8, 112):
        mixed = mixture.pictures(_levels(2, side))
        assert mixed[0, 0, : side // 2, side // 2 :].eq(1).all()
        assert mixed[0].mean() == 0.25
        assert mixed[1].eq(1).all()


@pytest.mark.parametrize("alphas", [(0.8, 0.0), (0.0, 1.0)], ids=["mixup", "cutmix"])
def test_a_part_of_the_clips_is_mixed_as_in_the_whole_from_the_pictures_it_needs(
    alphas: tuple[float, float],
) -> None:
    pictures = torch.rand(8, 2, 12, 12, generator=_generator(1))
    mixture = draw_mixture(8, _generator(2), mixup=alphas[0], cutmix=alphas[1])
    assert mixture is not None
    clips = torch.tensor([2, 3, 4])
    needed, part = mixture.of(clips)
    assert set(needed.tolist()) == {2, 3, 4, *mixture.partner[clips].tolist()}
    assert torch.equal(part.pictures(pictures[needed]), mixture.pictures(pictures)[clips])


def test_both_kinds_take_turns() -> None:
    kinds = {
        drawn.box is None
        for seed in range(20)
        if (drawn := draw_mixture(2, _generator(seed), mixup=0.8, cutmix=1.0))
    }
    assert kinds == {True, False}
