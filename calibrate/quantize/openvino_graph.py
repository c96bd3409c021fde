"""Quantize an OpenVINO graph with NNCF."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import openvino as ov

from s2d_edge.calibrate.graphs.feeds import Feed
from s2d_edge.calibrate.quantize.accuracy_control import Control
from s2d_edge.calibrate.quantize.float_layers import layers_in_float
from s2d_edge.calibrate.quantize.nncf_session import quantize_graph
from s2d_edge.calibrate.quantize.recipe import FLOAT_LOOKUPS, Recipe
from s2d_edge.core.openvino_core import openvino_core, save_graph
from s2d_edge.lint.openvino_view import constant_names, source_names

_RESAMPLING = "Interpolate"  # of pictures: 8 bits before the landmark network suffice, none around the resize
_HEAD_SUMS = (".per_head/", ".per_channel/")  # modules of s2d_edge.export.step
_ATTENTION = "ScaledDotProductAttention"


def quantize_openvino(
    source: Path,
    out: Path,
    recipe: Recipe,
    feeds: Iterable[Feed],
    count: int,
    control: Control | None = None,
) -> None:
    """Quantize ``source`` (.xml) into ``out`` (.xml, its weights in the .bin beside it).

    Args:
        feeds: the graph's inputs by name, from :mod:`s2d_edge.calibrate.graphs.feeds`;
            NNCF iterates over them twice.
        count: number of feeds.
        control: validation function of NNCF's accuracy control, where the recipe uses it.
    """
    model = openvino_core().read_model(source)
    ignored = [] if recipe.quantize_attention else activation_products(model, recipe.float_products)
    ignored += sums_over_heads(model)
    ignored += layers_in_float(source, recipe)
    kinds = {op.get_type_name() for op in model.get_ops()}
    quantized = quantize_graph(
        model,
        recipe,
        feeds,
        count,
        ignored_names=ignored,
        ignored_types=sorted(kinds & {_RESAMPLING, *FLOAT_LOOKUPS}),
        control=control,
    )
    # Uncompressed: values that are not INT8 keep the 32 bits they were measured with.
    save_graph(quantized, out)


def activation_products(model: ov.Model, kinds: Collection[str] = ("MatMul",)) -> list[str]:
    """Name the operations of these kinds whose factors both are activations: those of attentions."""
    constants = constant_names(model)
    return [
        op.get_friendly_name()
        for op in model.get_ops()
        if op.get_type_name() == _ATTENTION
        or (op.get_type_name() in kinds and not any(name in constants for name in source_names(op)))
    ]


def sums_over_heads(model: ov.Model) -> list[str]:
    """Name a stream's products with constants of ones and zeros, which sum in floating point."""
    return [
        op.get_friendly_name()
        for op in model.get_ops()
        if op.get_type_name() == "MatMul" and any(part in op.get_friendly_name() for part in _HEAD_SUMS)
    ]
