"""Quantizing an ONNX graph with NNCF, and checking what came out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from calibrate.nncf_session import nncf_session
from calibrate.recipe import Recipe
from s2d_edge.errors import QuantizationError

_RESAMPLING = "Resize"  # of pictures: their 8 bits are spent before the landmark network, not around it
_SINGLE_FILE_BYTES = 2**31 - 1  # protobuf's limit; beyond it weights move to a file beside the graph


def quantize_onnx(
    source: Path, out: Path, recipe: Recipe, feeds: Iterable[dict[str, NDArray[np.uint8]]], count: int
) -> None:
    """Quantize ``source`` into ``out``.

    Args:
        feeds: per calibration clip the graph's input, e.g. ``{"clip": (1, T, H, W, 3) uint8}``; NNCF goes
            through them twice.
        count: how many feeds there are.
    """
    model = onnx.load(source)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"  # NNCF finds ignored nodes by name
    ignored = [] if recipe.quantize_attention else activation_products(model)
    has_resampling = any(node.op_type == _RESAMPLING for node in model.graph.node)
    with nncf_session() as nncf:
        quantized = nncf.quantize(
            model,
            nncf.Dataset(feeds),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset(recipe.preset),
            target_device=nncf.TargetDevice(recipe.device),
            subset_size=count,
            fast_bias_correction=recipe.fast_bias_correction,
            ignored_scope=nncf.IgnoredScope(names=ignored, types=[_RESAMPLING] if has_resampling else []),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=recipe.smooth_quant_alpha)
            ),
        )
    onnx.save_model(
        quantized,
        out,
        save_as_external_data=quantized.ByteSize() > _SINGLE_FILE_BYTES,
        location=f"{out.name}.data",
    )
    if recipe.preset == "performance":
        require_symmetric(quantized)


def activation_products(model: onnx.ModelProto) -> list[str]:
    """Names of the matrix products both of whose factors are activations: Q·Kᵀ and A·V of the attentions."""
    constants = constant_names(model)
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and not any(name in constants for name in node.input)
    ]


def constant_names(model: onnx.ModelProto) -> set[str]:
    """Names of the values that depend on no input of the graph."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:  # ONNX stores nodes in topological order
        if all(name in constants for name in node.input if name):
            constants.update(node.output)
    return constants


def require_symmetric(model: onnx.ModelProto) -> None:
    """Check what TensorRT demands: every zero-point is int8 and 0.

    Raises:
        QuantizationError: one is not, or the graph holds no quantizer at all.
    """
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    quantizers = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    wrong = [node.name for node in quantizers if not _zero_int8(node.input, values)]
    if wrong or not quantizers:
        what = f"{wrong[0]} and {len(wrong) - 1} others have none" if wrong else "it has no quantizer at all"
        raise QuantizationError(
            f"TensorRT demands an int8 zero-point of 0 at each of the INT8 graph's {len(quantizers)} "
            f"quantizers, but {what}: a fault of the recipe or of the installed NNCF; please report it"
        )


def _zero_int8(inputs: Sequence[str], values: dict[str, Any]) -> bool:
    if len(inputs) < 3 or inputs[2] not in values:
        return False
    zero_point = numpy_helper.to_array(values[inputs[2]])
    return zero_point.dtype == np.int8 and not zero_point.any()
