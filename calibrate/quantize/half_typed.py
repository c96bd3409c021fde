"""Type an INT8 graph in 16 bits, for a TensorRT that takes every value in the type the graph gives it.

TensorRT 10 chooses the type of values that are not INT8 by itself (``--fp16``). TensorRT 11 does not: it
would run everything around the quantizers in FP32. Here these values are FLOAT16, scales included. Norms stay
in FP32 between casts, since their squares overflow, and the graph's own inputs and outputs keep their types.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from s2d_edge.calibrate.graphs.feeds import Feed
from s2d_edge.calibrate.graphs.onnx_session import cpu_session
from s2d_edge.core.errors import QuantizationError
from s2d_edge.firmware_host.selftest.agreement import LIMITS, compare, faults
from s2d_edge.lint.onnx_rules import IR_VERSION
from s2d_edge.lint.onnx_view import OnnxGraph

OPSET = 19  # the first whose quantizers take scales in FLOAT16
_SHARED_BYTES = 1024  # smaller tensors are not worth a reference
_FP32_NODES = frozenset({"LayerNormalization"})
_FP32_INPUTS = {"Resize": (2,)}  # scales, FP32 by the standard


_REMEDY = "train the model again with a smaller learning rate, or export it for another target"


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfReport:
    """Effect of 16 bits on an INT8 graph.

    Attributes:
        rms: difference of the logits, as a share of their spread.
        largest_inside: largest absolute number anywhere in the graph.
    """

    rms: float
    largest_inside: float


def write_half_typed(int8: Path, out: Path) -> None:
    """Write the graph ``int8`` to ``out`` beside it, typed in 16 bits.

    It refers to the INT8 weights in ``int8`` as external data, so nothing large is stored twice, and it needs
    that file beside it.
    """
    model = onnx.load(int8)
    _type_in_half(model)
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    _refer_to(int8, model)
    onnx.save_model(model, out)


def require_half(int8: Path, half: Path, feeds: Iterable[Feed]) -> HalfReport:
    """Check that 16 bits hold the numbers inside the graph, and that its logits agree.

    ONNX Runtime keeps more than 16 bits between some operations on a CPU, where a number too large would go
    unnoticed, so the ranges are measured in the INT8 graph itself.

    Args:
        feeds: iterated over once.

    Raises:
        QuantizationError: a number is beyond FP16, or the logits differ by more than INT8's rounding.
    """
    reference, typed = (cpu_session(onnx.load(int8)), cpu_session(half))
    probed, probes = _probed(onnx.load(int8))
    probing = cpu_session(probed)
    logits = reference.get_outputs()[0].name
    largest: NDArray[np.float32] = np.zeros(len(probes), np.float32)
    pairs = []
    for feed in feeds:
        pairs.append([session.run([logits], feed)[0] for session in (reference, typed)])
        found = np.abs(np.array(probing.run([*probes], feed)))
        largest = np.maximum(largest, found)
    worst = int(largest.argmax())
    if not largest[worst] <= np.finfo(np.float16).max:
        raise QuantizationError(
            f"{list(probes.values())[worst]} reaches {largest[worst]:.3g} on the calibration clips; FP16, "
            f"in which the jetson target computes values that are not INT8, ends at 65504; {_REMEDY}"
        )
    agreement = compare(*(np.concatenate(outputs) for outputs in zip(*pairs, strict=True)))
    wrong = faults(agreement, LIMITS["int8 and more"])
    if wrong:
        raise QuantizationError(
            f"typed in 16 bits the INT8 graph gives other logits: {'; '.join(wrong)}; {_REMEDY}"
        )
    return HalfReport(rms=agreement.rms, largest_inside=float(largest[worst]))


def _probed(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, str]]:
    """Add outputs for the extremes of every FLOAT inside a graph.

    Returns:
        The graph, and the value behind each new output.
    """
    graph = OnnxGraph(model)
    probes: dict[str, str] = {}
    for node in list(model.graph.node):
        for name in node.output:
            if graph.types.get(name) == TensorProto.FLOAT and name not in graph.constants:
                for kind in ("ReduceMax", "ReduceMin"):
                    probe = f"{name}_{kind}"
                    probes[probe] = name
                    model.graph.node.append(helper.make_node(kind, [name], [probe], keepdims=0))
                    model.graph.output.append(helper.make_tensor_value_info(probe, TensorProto.FLOAT, ()))
    return model, probes


def _type_in_half(model: onnx.ModelProto) -> None:
    """Retype every FLOAT inside the graph, in place."""
    graph = model.graph
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = max(entry.version, OPSET)
    kept = {name for node in graph.node for index, name in enumerate(node.input) if _in_fp32(node, index)}
    for tensor in graph.initializer:
        if tensor.name not in kept:
            _halve(tensor)

    edges = [
        value.name
        for value in (*graph.input, *graph.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    ]
    inside = {name: f"{name}_fp16" for name in edges}
    constants = {tensor.name for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    nodes = [_cast(name, inside[name], TensorProto.FLOAT16) for name in edges if name not in outputs]
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = inside.get(name, name)
            is_fp32 = name in kept & constants
            if name and is_fp32 != _in_fp32(node, index):
                cast = f"{node.output[0]}_input_{index}"
                nodes.append(
                    _cast(node.input[index], cast, TensorProto.FLOAT16 if is_fp32 else TensorProto.FLOAT)
                )
                node.input[index] = cast
        _retype_attributes(node)
        nodes.append(node)
        for index, name in enumerate(node.output):
            node.output[index] = inside.get(name, name)
            if node.op_type in _FP32_NODES and name:
                result, node.output[index] = node.output[index], f"{name}_fp32"
                nodes.append(_cast(node.output[index], result, TensorProto.FLOAT16))
    nodes += [_cast(inside[name], name, TensorProto.FLOAT) for name in edges if name in outputs]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]  # of the old types; shape inference gives new ones


def _in_fp32(node: onnx.NodeProto, index: int) -> bool:
    """Return True if a node reads that input in FP32."""
    return node.op_type in _FP32_NODES or index in _FP32_INPUTS.get(node.op_type, ())


def _cast(name: str, result: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [result], name=f"{result}_cast", to=to)


def _retype_attributes(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
        elif attribute.type == onnx.AttributeProto.TENSOR:
            _halve(attribute.t)


def _halve(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        value = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def _refer_to(file: Path, model: onnx.ModelProto) -> None:
    """Replace the INT8 weights of ``model`` by references to the same bytes in ``file``, in place."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as stored:
        begin = 0
        for tensor in model.graph.initializer:
            data = tensor.raw_data
            if tensor.data_type != TensorProto.INT8 or len(data) < _SHARED_BYTES:
                continue
            begin = max(stored.find(data, begin), stored.find(data, 0, begin + len(data)))
            if begin < 0:
                begin = 0  # stored outside that file, too
                continue
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", file.name), ("offset", begin), ("length", len(data))):
                tensor.external_data.add(key=key, value=str(value))
