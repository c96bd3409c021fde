"""The masked autoencoder: what it sees, what it is scored on, and that its encoder is S2D's ViT."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from s2d_edge.contracts.model_config import PRESETS, MaskedConfig, ViTConfig
from s2d_edge.core.errors import ConfigError
from s2d_edge.model.mae import Decoder, MaskedAutoencoder, draw_visible, normalised, restored
from tests.train.tiny import IMAGE, SIZE

PATCHES = IMAGE.vit.grid**2


@pytest.fixture(scope="module")
def model() -> MaskedAutoencoder:
    torch.manual_seed(0)
    return MaskedAutoencoder(IMAGE, MaskedConfig(ratio=0.5)).eval()


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8)


def _visible(ratio: float = 0.5) -> Tensor:
    return draw_visible(3, PATCHES, ratio, torch.Generator().manual_seed(1))


def _spoilt(pictures: Tensor, places: Tensor) -> Tensor:
    """The pictures with other pixels in the patches at ``places`` (B, n)."""
    size, grid = IMAGE.vit.patch_size, IMAGE.vit.grid
    changed = pictures.clone()
    for picture, row in zip(changed, places.tolist(), strict=True):
        for place in row:
            y, x = divmod(place, grid)
            picture[y * size : (y + 1) * size, x * size : (x + 1) * size] ^= 85
    return changed


def _masked(visible: Tensor) -> Tensor:
    seen = torch.zeros(len(visible), PATCHES, dtype=torch.bool).scatter(1, visible, True)
    places: Tensor = (~seen).nonzero()[:, 1]
    return torch.unflatten(places, 0, (len(visible), -1))


@torch.no_grad()
def test_masked_patches_reach_neither_encoder_nor_prediction(
    model: MaskedAutoencoder, pictures: Tensor
) -> None:
    """And the encoder computes the visible ones alone, which is what masking saves."""
    visible, lengths = _visible(), []
    hooks = [
        block.register_forward_hook(lambda _, given, __: lengths.append(given[0].shape[1]))
        for block in model.vit.blocks
    ]
    predicted = model(pictures, visible)
    for hook in hooks:
        hook.remove()
    assert lengths == [1 + visible.shape[1]] * IMAGE.vit.depth
    assert visible.shape[1] == PATCHES // 2
    assert torch.equal(model(_spoilt(pictures, _masked(visible)), visible), predicted)
    assert not torch.equal(model(_spoilt(pictures, visible[:, :1]), visible), predicted)


@torch.no_grad()
def test_with_all_patches_visible_in_any_order_the_encoder_is_the_plain_vit(
    model: MaskedAutoencoder, pictures: Tensor
) -> None:
    normal = model.normalise_pictures(pictures)
    x = model.vit.add_class_token(model.vit.patch_embed(normal))
    for block in model.vit.blocks:
        x = block(x)
    wanted = model.vit.norm(x)
    order = torch.stack([torch.randperm(PATCHES) for _ in pictures])
    found = model.encode(normal, order)
    assert torch.allclose(found[:, 0], wanted[:, 0], atol=1e-5)
    places = order.unsqueeze(2).expand(-1, -1, wanted.shape[2])
    assert torch.allclose(found[:, 1:], wanted[:, 1:].gather(1, places), atol=1e-5)


@torch.no_grad()
def test_the_decoder_gets_each_visible_patch_at_its_own_place(
    model: MaskedAutoencoder, pictures: Tensor
) -> None:
    """The order in which they were drawn does not matter."""
    visible = _visible()
    turned = visible.flip(1)
    assert torch.allclose(model(pictures, visible), model(pictures, turned), atol=1e-5)


def test_the_loss_is_that_of_masked_patches_normalised_each_by_itself(
    model: MaskedAutoencoder, pictures: Tensor
) -> None:
    visible = _visible()
    generator = torch.Generator().manual_seed(2)
    predicted = torch.randn(3, PATCHES, 3 * IMAGE.vit.patch_size**2, generator=generator)
    losses = model.losses(predicted, pictures, visible)
    size, grid = IMAGE.vit.patch_size, IMAGE.vit.grid
    normal = model.normalise_pictures(pictures).permute(0, 2, 3, 1)  # (B, H, W, 3)
    for b, places in enumerate(_masked(visible).tolist()):
        errors = []
        for place in places:
            y, x = divmod(place, grid)
            patch = normal[b, y * size : (y + 1) * size, x * size : (x + 1) * size].flatten()
            target = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt()
            errors.append((predicted[b, place] - target).square().mean())
        assert losses[b] == pytest.approx(float(torch.stack(errors).mean()), rel=1e-5)
    elsewhere = predicted.scatter_add(
        1, visible.unsqueeze(2).expand(-1, -1, predicted.shape[2]), torch.ones_like(predicted)
    )
    assert torch.equal(model.losses(elsewhere, pictures, visible), losses)


def test_patches_and_pictures_are_each_others_inverse(model: MaskedAutoencoder, pictures: Tensor) -> None:
    patches = model.patches(pictures)
    assert torch.allclose(model.pictures_of(patches), pictures.float(), atol=1e-3)
    assert torch.allclose(restored(normalised(patches), patches), patches, atol=1e-4)


@pytest.mark.parametrize(("ratio", "kept"), [(0.75, 1), (0.5, 2), (0.999, 1), (0.001, 3)])
def test_every_patch_is_masked_as_often_as_any_other(ratio: float, kept: int) -> None:
    visible = draw_visible(4000, PATCHES, ratio, torch.Generator().manual_seed(0))
    assert visible.shape == (4000, kept)
    assert all(len(set(row)) == kept for row in visible[:50].tolist())
    shares = visible.flatten().bincount(minlength=PATCHES) / 4000
    assert torch.allclose(shares, torch.full((PATCHES,), kept / PATCHES), atol=0.04)


@pytest.mark.parametrize("name", PRESETS)
def test_every_size_of_model_has_a_decoder(name: str) -> None:
    sizes = PRESETS[name].vit
    decoder = MaskedConfig().decoder(sizes)
    assert decoder.width <= sizes.width
    with torch.device("meta"):
        predicted = Decoder(sizes, MaskedConfig())
    assert predicted.to_pixels.out_features == 3 * sizes.patch_size**2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ratio": 0.0}, "ratio"),
        ({"ratio": 1.0}, "ratio"),
        ({"decoder_depth": 0}, "decoder_depth"),
        ({"decoder_width": 50}, "decoder_width"),
        ({"decoder_width": -4}, "decoder_width"),
    ],
)
def test_sizes_that_make_no_autoencoder_are_refused(given: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MaskedConfig(**given).decoder(ViTConfig(width=64, heads=4))  # type: ignore[arg-type]
