"""Quantize an ONNX graph with NNCF."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from s2d_edge.calibrate.graphs.feeds import Feed
from s2d_edge.calibrate.graphs.onnx_session import load_named
from s2d_edge.calibrate.quantize.accuracy_control import Control
from s2d_edge.calibrate.quantize.float_layers import layers_in_float
from s2d_edge.calibrate.quantize.nncf_session import quantize_graph
from s2d_edge.calibrate.quantize.recipe import FLOAT_LOOKUPS, Recipe
from s2d_edge.lint.onnx_rules import IR_VERSION
from s2d_edge.lint.onnx_view import QUANTIZERS, constant_names

_RESAMPLING = "Resize"  # of pictures: 8 bits before the landmark network suffice, none around the resize
_SINGLE_FILE_BYTES = 2**31 - 1  # protobuf's limit; beyond it weights move to a file beside the graph


def quantize_onnx(
    source: Path,
    out: Path,
    recipe: Recipe,
    feeds: Iterable[Feed],
    count: int,
    control: Control | None = None,
) -> None:
    """Quantize ``source`` into ``out``.

    Args:
        feeds: the graph's inputs by name, from :mod:`s2d_edge.calibrate.graphs.feeds`;
            NNCF iterates over them twice.
        count: number of feeds.
        control: validation function of NNCF's accuracy control, where the recipe uses it.
    """
    model = load_named(source)
    ignored = [] if recipe.quantize_attention else activation_products(model, recipe.float_products)
    ignored += layers_in_float(source, recipe)
    kinds = {node.op_type for node in model.graph.node}
    quantized = quantize_graph(
        model,
        recipe,
        feeds,
        count,
        ignored_names=ignored,
        ignored_types=sorted(kinds & {_RESAMPLING, *FLOAT_LOOKUPS}),
        control=control,
    )
    if recipe.preset == "performance":
        make_signed(quantized)
    quantized.ir_version = IR_VERSION
    onnx.save_model(
        quantized,
        out,
        save_as_external_data=quantized.ByteSize() > _SINGLE_FILE_BYTES,
        location=f"{out.name}.data",
    )


def make_signed(model: onnx.ModelProto) -> None:
    """Turn unsigned symmetric quantizers (uint8, zero-point 0) into signed ones of the same range, in place.

    NNCF makes activations unsigned that were never negative in calibration, such as pictures and the output
    of a ReLU, and no setting prevents it. TensorRT takes signed ones only. They lose one bit.
    """
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    types = {value.name: value.type.tensor_type for value in model.graph.value_info}
    for node in model.graph.node:
        if node.op_type not in QUANTIZERS or len(node.input) < 3:
            continue
        scale, zero_point = (values.get(name) for name in node.input[1:3])
        if scale is None or zero_point is None or zero_point.dtype != np.uint8 or zero_point.any():
            continue
        signed = (f"{node.name}_signed_scale", f"{node.name}_signed_zero_point")
        widened = (scale * (255 / 127)).astype(scale.dtype)
        for name, value in zip(signed, (widened, np.zeros_like(zero_point, dtype=np.int8)), strict=True):
            model.graph.initializer.append(numpy_helper.from_array(value, name))
        node.input[1], node.input[2] = signed
        if node.op_type == "QuantizeLinear" and node.output[0] in types:
            types[node.output[0]].elem_type = onnx.TensorProto.INT8
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def activation_products(model: onnx.ModelProto, kinds: Collection[str] = ("MatMul",)) -> list[str]:
    """Name the nodes of these kinds whose factors both are activations: Q·Kᵀ and A·V of attentions."""
    constants = constant_names(model)
    return [
        node.name
        for node in model.graph.node
        if node.op_type in kinds and not any(name in constants for name in node.input)
    ]
