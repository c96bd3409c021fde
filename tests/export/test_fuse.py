"""The fused graph computes what the model computes, on random weights, every tensor non-zero."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from s2d_edge.contracts.model_config import LandmarkConfig, S2DConfig, TemporalConfig, ViTConfig
from s2d_edge.export.algebra import LinearNormLinear, linear_norm_linear, linear_then_linear, norm_then_linear
from s2d_edge.export.fuse import FusedS2D, FusedTimeAttention
from tests.models import TINY, random_clip, random_model, with_vit

_WIDE = S2DConfig(
    vit=ViTConfig(image_size=112, patch_size=8, width=256, depth=2, heads=4),
    landmark=LandmarkConfig(width=8, depths=(1, 1, 1)),
    temporal=TemporalConfig(ratio=0.25, heads=8),
    frames=3,
    classes=7,
)


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        with_vit(TINY, depth=4),
        TINY.as_image(),
        _WIDE,
        replace(TINY, frames=1, temporal=TemporalConfig(ratio=0.5, heads=3)),
        replace(TINY, grey=True),
    ],
    ids=["tiny", "deeper", "image", "wide", "one-frame", "grey"],
)
def test_fused_model_equals_the_model(config: S2DConfig) -> None:
    model = random_model(config)
    fused, clip = FusedS2D(model).eval(), random_clip(config)
    with torch.inference_mode():
        before = model(clip)
        torch.testing.assert_close(fused(clip), before, atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(model(clip), before, atol=0, rtol=0)  # fusing leaves the model alone


def test_fused_temporal_adapter_equals_the_unfused_one() -> None:
    model = random_model(_WIDE)
    adapter = model.adapters[1]
    assert all((parameter != 0).all() for parameter in adapter.parameters())
    fused = FusedTimeAttention(adapter, _WIDE.frames).double()  # type: ignore[arg-type]
    adapter = adapter.double()
    tokens = torch.randn(_WIDE.frames, 9, _WIDE.vit.width, dtype=torch.float64)
    with torch.inference_mode():
        h = nn.functional.gelu(adapter.time_down(tokens))  # type: ignore[operator]
        output = adapter.mix_up(fused(h))  # type: ignore[operator]
        torch.testing.assert_close(output, adapter(tokens, _WIDE.frames), atol=1e-6, rtol=1e-6)


def test_nothing_of_width_d_is_left_inside_the_fused_adapter() -> None:
    fused = FusedTimeAttention(random_model(_WIDE).adapters[0], _WIDE.frames)  # type: ignore[arg-type]
    widths = {layer.out_features for layer in fused.modules() if isinstance(layer, nn.Linear)}
    assert max(widths) < _WIDE.vit.width


@pytest.mark.parametrize(("narrow", "wide"), [(8, 96), (64, 256), (40, 48)])
def test_narrowed_norm_is_exact(narrow: int, wide: int) -> None:
    torch.manual_seed(0)
    first, norm, second = nn.Linear(narrow, wide), nn.LayerNorm(wide, eps=1e-5), nn.Linear(wide, narrow)
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
        first.bias.normal_(3.0)  # a mean far from zero, which only the centring removes
    fused = linear_norm_linear(first, norm, second)
    x = torch.randn(5, 7, narrow)
    with torch.inference_mode():
        torch.testing.assert_close(fused(x), second(norm(first(x))), atol=2e-5, rtol=1e-4)
    assert isinstance(fused, LinearNormLinear)
    assert fused.up.out_features <= wide


def test_narrowed_norm_keeps_epsilon_where_the_input_is_constant() -> None:
    """The variance is as small as epsilon, so a wrong scale of epsilon would show."""
    torch.manual_seed(0)
    first, norm, second = nn.Linear(4, 64), nn.LayerNorm(64, eps=1e-5), nn.Linear(64, 4)
    x = torch.randn(3, 4) * 1e-4
    with torch.no_grad():
        first.bias.fill_(0.5)
    fused = linear_norm_linear(first, norm, second)
    with torch.inference_mode():
        output = fused(x)
        exact = second.double()(norm.double()(first.double()(x.double())))
    spread = (exact - exact.mean(dim=0)).abs().max()
    assert (output - exact).abs().max() < 1e-3 * spread


def test_merged_linears_are_exact() -> None:
    torch.manual_seed(0)
    norm, one, other = nn.LayerNorm(16), nn.Linear(16, 4), nn.Linear(16, 3, bias=False)
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
    x = torch.randn(6, 16)
    with torch.inference_mode():
        stacked = norm_then_linear(norm, one, other)(nn.functional.layer_norm(x, (16,), eps=norm.eps))
        torch.testing.assert_close(
            stacked, torch.cat((one(norm(x)), other(norm(x))), dim=1), atol=1e-5, rtol=1e-5
        )
        last = nn.Linear(4, 5)
        chain = linear_then_linear(one, last)
        assert chain.weight.shape == (5, 16)
        torch.testing.assert_close(chain(x), last(one(x)), atol=1e-5, rtol=1e-5)
