"""Quantizing an ONNX graph with NNCF, and checking what came out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from calibrate.feeds import Feed
from calibrate.nncf_session import quantize_graph
from calibrate.recipe import Recipe
from s2d_edge.errors import QuantizationError

_RESAMPLING = "Resize"  # of pictures: their 8 bits are spent before the landmark network, not around it
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_SINGLE_FILE_BYTES = 2**31 - 1  # protobuf's limit; beyond it weights move to a file beside the graph


def quantize_onnx(source: Path, out: Path, recipe: Recipe, feeds: Iterable[Feed], count: int) -> None:
    """Quantize ``source`` into ``out``.

    Args:
        feeds: the graph's inputs by name, from :mod:`calibrate.feeds`; NNCF goes through them twice.
        count: how many feeds there are.
    """
    model = onnx.load(source)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"  # NNCF finds ignored nodes by name
    ignored = [] if recipe.quantize_attention else activation_products(model, recipe.float_products)
    has_resampling = any(node.op_type == _RESAMPLING for node in model.graph.node)
    quantized = quantize_graph(
        model,
        recipe,
        feeds,
        count,
        ignored_names=ignored,
        ignored_types=[_RESAMPLING] if has_resampling else [],
    )
    if recipe.preset == "performance":
        make_signed(quantized)
        require_symmetric(quantized)
    onnx.save_model(
        quantized,
        out,
        save_as_external_data=quantized.ByteSize() > _SINGLE_FILE_BYTES,
        location=f"{out.name}.data",
    )


def make_signed(model: onnx.ModelProto) -> None:
    """Turn unsigned symmetric quantizers (uint8, zero-point 0) into signed ones of the same range, in place.

    NNCF makes activations unsigned that were never negative in calibration, such as pictures and what a ReLU
    leaves, and its settings cannot forbid it; TensorRT takes signed ones only. They lose one bit.
    """
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    types = {value.name: value.type.tensor_type for value in model.graph.value_info}
    for node in model.graph.node:
        if node.op_type not in _QUANTIZERS or len(node.input) < 3:
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
    """Names of the nodes of these kinds both of whose factors are activations: Q·Kᵀ and A·V of attentions."""
    constants = constant_names(model)
    return [
        node.name
        for node in model.graph.node
        if node.op_type in kinds and not any(name in constants for name in node.input)
    ]


def constant_names(model: onnx.ModelProto) -> set[str]:
    """Names of the values that depend on no input of the graph."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:  # ONNX stores nodes in topological order
        if all(name in constants for name in node.input if name):
            constants.update(node.output)
    return constants


def require_symmetric(model: onnx.ModelProto) -> None:
    """Check what TensorRT demands: every zero-point is int8 and 0, and activations have one scale a tensor.

    Raises:
        QuantizationError: a quantizer is not so, or the graph holds none at all.
    """
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    constants = constant_names(model)
    quantizers = [node for node in model.graph.node if node.op_type in _QUANTIZERS]
    faults = [
        f"{node.name} has {fault}"
        for node in quantizers
        if (fault := _fault(node.input, values, is_weight=node.input[0] in constants))
    ]
    if faults or not quantizers:
        what = f"{len(faults)} do not, {faults[0]}" if faults else "there is none"
        raise QuantizationError(
            "TensorRT demands an int8 zero-point of 0 and per-tensor activation scales of each quantizer; "
            f"of the INT8 graph's {len(quantizers)} {what}: a fault of the recipe or of the installed NNCF, "
            "please report it"
        )


def _fault(inputs: Sequence[str], values: dict[str, NDArray[Any]], *, is_weight: bool) -> str | None:
    zero_point = values.get(inputs[2]) if len(inputs) > 2 else None
    if zero_point is None:
        return "no constant zero-point"
    if zero_point.dtype != np.int8 or zero_point.any():
        return f"the zero-point {zero_point.dtype} {zero_point.ravel()[:3].tolist()}"
    if zero_point.size > 1 and not is_weight:
        return f"{zero_point.size} scales for one activation"
    return None
