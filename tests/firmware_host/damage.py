"""Bundles whose graph was damaged after they were made, sealed again so that every hash holds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Bundle, open_bundle, seal
from s2d_edge.core.openvino_core import openvino_core

Damage = Callable[[NDArray[Any]], NDArray[Any]]


def zeroed(values: NDArray[Any]) -> NDArray[Any]:
    """All gone."""
    return np.zeros_like(values)


def flipped(values: NDArray[Any]) -> NDArray[Any]:
    """Every sign turned; of int8, -128 becomes 127."""
    lowest = -127 if values.dtype == np.int8 else None
    turned: NDArray[Any] = np.negative(values.clip(lowest, None) if lowest else values)
    return turned


def damaged(bundle: Bundle, folder: Path, damage: Damage, place: float) -> Bundle:
    """A copy of ``bundle`` with one weight tensor damaged.

    Args:
        place: which of the graph's matrices and convolutions, 0 the first to 1 the last.
    """
    shutil.copytree(bundle.path, folder)
    change = _damage_onnx if bundle.manifest.graph == "model.onnx" else _damage_openvino
    change(folder / bundle.manifest.graph, damage, place)
    seal(folder, bundle.manifest)
    return open_bundle(folder)


def _damage_onnx(file: Path, damage: Damage, place: float) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(file)
    weights = [
        tensor
        for tensor in model.graph.initializer
        if _is_weight(numpy_helper.to_array(tensor)) and tensor.data_type in (1, 3)  # float, int8
    ]
    tensor = weights[round(place * (len(weights) - 1))]
    tensor.CopyFrom(numpy_helper.from_array(damage(numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(model, file)


def _damage_openvino(file: Path, damage: Damage, place: float) -> None:
    import openvino
    from openvino import opset13 as ops

    model = openvino_core().read_model(file)
    weights = [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Constant"
        and node.get_element_type().get_type_name() in ("f32", "i8")
        and _is_weight(node.data)
    ]
    node = weights[round(place * (len(weights) - 1))]
    constant = ops.constant(damage(node.data.copy()))
    for target in node.output(0).get_target_inputs():
        target.replace_source_output(constant.output(0))
    scratch = file.with_name("damaged.xml")
    openvino.save_model(model, scratch, compress_to_fp16=False)
    del model, weights, node  # they hold the file that is written over
    scratch.with_suffix(".bin").replace(file.with_suffix(".bin"))
    scratch.replace(file)


def _is_weight(values: NDArray[Any]) -> bool:
    return values.ndim >= 2 and min(values.shape[:2]) > 1 and values.size >= 64
