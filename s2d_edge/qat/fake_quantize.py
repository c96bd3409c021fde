"""A fused model whose linears and convolutions are fake-quantized, as an INT8 graph's are.

The fused layers are quantized, not those of the S2D: fused weights hold the norms' affines and products of
two matrices, so their ranges differ from those of the original layers. Streams train the fused window model
too: a causal one gives for a window the logits of its step graph after T frames.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from s2d_edge.calibrate.quantize.nncf_session import nncf_session, range_estimators
from s2d_edge.calibrate.quantize.recipe import Recipe
from s2d_edge.contracts.engine import Clip
from s2d_edge.export.fuse import FusedS2D

_RESAMPLING, _ATTENTION = "interpolate", "scaled_dot_product_attention"  # kinds of operations in NNCF's graph
_HOOKS = "__nncf_hooks."  # NNCF's own parameters: ranges, and what SmoothQuant multiplies by


class FakeQuantizedModel:
    """The model to train: uint8 clip (1, T, H, W, 3) -> logits (1, K), fake-quantized by a recipe."""

    def __init__(self, fused: FusedS2D, recipe: Recipe, clips: Sequence[Clip]) -> None:
        """Insert fake quantizers into a copy of ``fused``, with ranges from ``clips``.

        Biases are not corrected, since they are trained. Convolutions are not smoothed, since all but that of
        the patches are frozen.
        """
        self._fused = fused
        with nncf_session() as nncf:
            self._module = _insert_quantizers(nncf, copy.deepcopy(fused), recipe, clips)
        named = dict(self._module.named_parameters())
        # Ranges are measured again on the exported graph, where trained ones would be lost.
        for name, parameter in named.items():
            if name.startswith(_HOOKS):
                parameter.requires_grad_(False)
        self.trainable = [parameter for parameter in named.values() if parameter.requires_grad]
        self._first = [parameter.detach().clone() for parameter in self.trainable]
        with torch.no_grad():
            self._smoothing = {
                name: _columns(named[name]) / _columns(before)
                for name, before in fused.named_parameters()
                if before.ndim == 2 and not torch.equal(before, named[name])
            }

    def __call__(self, clip: Tensor) -> Tensor:
        logits: Tensor = self._module(clip)
        return logits

    @torch.no_grad()
    def restore(self) -> None:
        """Restore the first weights."""
        for parameter, first in zip(self.trainable, self._first, strict=True):
            parameter.copy_(first)

    def without_quantizers(self) -> FusedS2D:
        """Return the fused model with the current weights, without quantizers and SmoothQuant's factors."""
        result = copy.deepcopy(self._fused)
        trained = self._module.state_dict()
        weights = {name: trained[name].clone() for name in result.state_dict()}
        for name, factors in self._smoothing.items():
            weights[name] /= factors
        result.load_state_dict(weights)
        return result


def _columns(weight: Tensor) -> Tensor:
    """Return (in,) sums of absolute weights of each input of a linear; 1 for a column of zeros."""
    size = weight.abs().sum(dim=0)
    return torch.where(size > 0, size, torch.ones_like(size))


def _insert_quantizers(nncf: Any, fused: FusedS2D, recipe: Recipe, clips: Sequence[Clip]) -> nn.Module:
    from nncf.quantization.advanced_parameters import QuantizationParameters
    from nncf.torch.quantization import extensions
    from nncf.torch.quantization.reference import ReferenceBackendType, ReferenceQuantize

    # NNCF would spend a minute compiling kernels with the compiler it finds, into the user's cache; without
    # one, torch.compile would do so at every new shape. These are the functions that the kernels replace.
    plain = ReferenceQuantize(ReferenceBackendType.TORCH)
    compiled = SimpleNamespace(Quantize_forward=plain.forward, Quantize_backward=plain.backward)
    extensions.QuantizedFunctionsCPU._loaded_namespace = compiled  # type: ignore[assignment]
    advanced = nncf.AdvancedQuantizationParameters(
        disable_bias_correction=True,
        activations_quantization_params=QuantizationParameters(per_channel=False),
        activations_range_estimator_params=range_estimators()[recipe.ranges],
        smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(
            matmul=recipe.smooth_quant_alpha, convolution=-1
        ),
    )
    pictures = [torch.from_numpy(clip) for clip in clips]
    kinds = [_RESAMPLING] if recipe.quantize_attention else [_RESAMPLING, _ATTENTION]
    quantized: nn.Module = nncf.quantize(
        fused,
        nncf.Dataset(pictures),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset(recipe.preset),
        target_device=nncf.TargetDevice(recipe.device),
        subset_size=len(pictures),
        ignored_scope=nncf.IgnoredScope(
            names=layers_in_float(fused, recipe, pictures[0]),
            types=kinds,
            validate=False,  # a model whose pictures are the landmark network's size resamples nothing
        ),
        advanced_parameters=advanced,
    )
    return quantized


def layers_in_float(fused: FusedS2D, recipe: Recipe, clip: Tensor) -> list[str]:
    """Name the layers, as NNCF does, that stay in floating point in a graph of the recipe.

    :func:`s2d_edge.calibrate.quantize.float_layers.layers_in_float` names those of an exported graph.
    """
    from nncf.torch.function_hook import wrap_model
    from nncf.torch.function_hook.nncf_graph.nncf_graph_builder import build_nncf_graph
    from nncf.torch.graph.operator_metatypes import (
        PTConv2dMetatype,
        PTDepthwiseConv2dSubtype,
        PTLinearMetatype,
    )

    named: dict[Any, list[str]] = {
        PTConv2dMetatype: [],
        PTDepthwiseConv2dSubtype: [],
        PTLinearMetatype: [],
    }
    for node in build_nncf_graph(wrap_model(copy.deepcopy(fused)), clip).topological_sort():
        named.get(node.metatype, []).append(node.node_name)
    landmark = [name for name in named[PTConv2dMetatype] if not name.startswith("patch/")]
    kept = {
        "none": landmark[1:],
        "chains": [name for name in landmark[1:] if not name.startswith("model/")],  # of the residual chains
        "all": [],
    }
    fixed = [*landmark[:1], *named[PTDepthwiseConv2dSubtype]]
    head = [name for name in named[PTLinearMetatype] if name.startswith("head/")]
    return [*fixed[: len(fixed) - recipe.quantized_anyway], *kept[recipe.int8_landmark], *head]
