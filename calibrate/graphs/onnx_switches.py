"""An ONNX graph that holds each quantized layer twice, in INT8 and in FP32, with switches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from s2d_edge.calibrate.graphs.feeds import Feed
from s2d_edge.calibrate.graphs.onnx_session import cpu_session, load_named
from s2d_edge.contracts.engine import Logits
from s2d_edge.core.errors import QuantizationError
from s2d_edge.lint.onnx_view import OnnxGraph

_SWITCHES = "s2d_edge_switches"


class SwitchedOnnx:
    """A graph whose layers switch; see :class:`s2d_edge.calibrate.graphs.sensitivity.Switched`."""

    def __init__(self, fp32: Path, int8: Path, groups: Sequence[Sequence[str]]) -> None:
        """Join the graphs and open them on the CPU.

        Args:
            groups: names of each group's layers.

        Raises:
            QuantizationError: the INT8 graph is not the FP32 graph with quantizers around its layers.
        """
        model = _join(fp32, int8, {name: number for number, group in enumerate(groups) for name in group})
        self._output = model.graph.output[0].name
        self._session = cpu_session(model)

    def infer(self, feed: Feed, int8: NDArray[np.bool_]) -> Logits:
        """Compute (1, K) logits with the chosen groups in INT8."""
        return np.asarray(self._session.run([self._output], {**feed, _SWITCHES: int8})[0])


def _join(fp32: Path, int8: Path, group_of: Mapping[str, int]) -> onnx.ModelProto:
    source, model = OnnxGraph(load_named(fp32)), load_named(int8)
    originals = {node.name: node for node in source.nodes}
    graph = OnnxGraph(model)
    if missing := set(group_of) - set(originals):
        raise QuantizationError(
            f"{fp32} has no {min(missing)}, which {int8} has in INT8; give the FP32 bundle it came from"
        )
    added: dict[str, onnx.TensorProto] = {}
    # Keyed by the name of a layer's last node: the nodes of its FP32 copy, and its group.
    twins: dict[str, tuple[list[onnx.NodeProto], int]] = {}
    for node in graph.nodes:
        if node.name not in group_of:
            continue
        producer = graph.producer(node.input[0])
        if producer is None or producer.op_type != "DequantizeLinear":
            raise QuantizationError(f"{int8}: {node.name} has no quantizer right before it; calibrate again")
        twin = list(_twin(originals[node.name], source, added))
        twins[_last(originals[node.name], source).name] = twin, group_of[node.name]
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.append(node)
        if node.name not in twins:
            continue
        twin, group = twins[node.name]
        value = node.output[0]
        on = f"{_SWITCHES}/{value}"
        added[f"{on}/group"] = numpy_helper.from_array(np.array(group, dtype=np.int64), f"{on}/group")
        node.output[0] = _in_int8(value)
        nodes += [
            *twin,
            helper.make_node("Gather", [_SWITCHES, f"{on}/group"], [on], name=on),
            helper.make_node("Where", [on, _in_int8(value), _in_float(value)], [value], name=f"{on}/where"),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(added.values())
    shape = [1 + max(group_of.values())]
    model.graph.input.append(helper.make_tensor_value_info(_SWITCHES, TensorProto.BOOL, shape))
    return model


def _twin(
    node: onnx.NodeProto, source: OnnxGraph, added: dict[str, onnx.TensorProto]
) -> Iterator[onnx.NodeProto]:
    """Yield copies of an FP32 layer and its bias, and add their constants to ``added``."""
    last = _last(node, source)
    for original in [node] if last.name == node.name else [node, last]:
        copy = onnx.NodeProto()
        copy.CopyFrom(original)
        copy.name = _in_float(original.name)
        copy.output[0] = _in_float(original.output[0])
        for index, name in enumerate(original.input):
            if original is last and name == node.output[0]:
                copy.input[index] = _in_float(name)
            elif name in source.constants:
                value = source.value(name)
                if value is None:
                    raise QuantizationError(
                        f"{original.name}: its weights are computed in the graph, not stored; export again"
                    )
                copy.input[index] = _in_float(name)
                added[copy.input[index]] = numpy_helper.from_array(value, copy.input[index])
        yield copy


def _last(node: onnx.NodeProto, source: OnnxGraph) -> onnx.NodeProto:
    """Return the addition of a bias if it is the only reader of a layer, else the layer."""
    following = [reader for reader, _ in source.readers(node.output[0])]
    if (
        len(following) == 1
        and following[0].op_type == "Add"
        and source.constants.intersection(following[0].input)
    ):
        return following[0]
    return node


def _in_float(name: str) -> str:
    return f"{name}/fp32"


def _in_int8(name: str) -> str:
    return f"{name}/int8"
