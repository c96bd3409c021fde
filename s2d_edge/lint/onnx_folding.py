"""Values of small constants, however an ONNX graph spells them: stored, in attributes, or computed."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from s2d_edge.lint.onnx_view import OnnxGraph, attribute
from s2d_edge.lint.rules import words

_LARGEST = 65_536  # numbers of a value; larger ones are weights, whose stored form is looked at
# What exporters compute constants with. Others, such as the dequantizing of weights, make large ones.
_FOLDED = words(
    "Abs Add Cast Clip Concat Div Equal Exp Expand Floor Gather Greater Identity Less Log Max Min Mul Neg "
    "Not Pow Range Reciprocal Reshape Shape Slice Sqrt Squeeze Sub Transpose Unsqueeze Where"
)
_SCALARS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


class Constants:
    """The small constants of a graph, by the name of the value."""

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph

    def __getitem__(self, name: str) -> NDArray[Any] | None:
        """Return a constant's value; None if it depends on an input, is large, or cannot be computed."""
        return self._values.get(name)

    @cached_property
    def _values(self) -> dict[str, NDArray[Any]]:
        graph, known = self._graph, dict[str, NDArray[Any]]()
        for name, tensor in graph.tensors.items():
            if prod(tensor.dims) <= _LARGEST:
                known[name] = numpy_helper.to_array(tensor)
        for node in graph.nodes:  # in topological order
            if len(node.output) != 1:
                continue
            value = self._value_of(node, known)
            if value is not None and value.size <= _LARGEST:
                known[node.output[0]] = value
        return known

    def _value_of(self, node: onnx.NodeProto, known: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
        if node.op_type == "Constant":
            if node.output[0] in known:
                return known[node.output[0]]
            sparse = attribute(node, "sparse_value", None)
            if sparse is not None:
                return numpy_helper.to_array(sparse.values)
            for name, dtype in _SCALARS.items():
                if (value := attribute(node, name, None)) is not None:
                    return np.array(value, dtype)
            return None
        given = [name for name in node.input if name]
        if not given or not known.keys() >= set(given):
            return None
        inputs = [known[name] for name in given]
        if node.op_type == "ConstantOfShape":  # one number stands for all of them
            filled = attribute(node, "value", None)
            return np.zeros(1, np.float32) if filled is None else numpy_helper.to_array(filled)
        if node.op_type not in _FOLDED or _is_large(node, inputs):
            return None
        try:
            with np.errstate(all="ignore"):
                found = ReferenceEvaluator(node).run(None, dict(zip(given, inputs, strict=True)))
        except Exception:  # of NumPy or the evaluator, for operators that it does not know in this form
            return None
        return np.asarray(next(iter(found)))


def _is_large(node: onnx.NodeProto, inputs: list[NDArray[Any]]) -> bool:
    """Return whether an operation on small constants may make a large one."""
    shapes = [value.shape for value in inputs]
    if node.op_type == "Expand":
        return prod(int(size) for size in inputs[-1].ravel()) > _LARGEST
    if node.op_type == "Range":
        if len(inputs) != 3 or any(value.size != 1 for value in inputs):
            return True
        start, limit, step = (float(value.ravel()[0]) for value in inputs)
        return not step or not abs((limit - start) / step) <= _LARGEST
    try:
        return prod(np.broadcast_shapes(*shapes)) > _LARGEST
    except ValueError:
        return sum(prod(shape) for shape in shapes) > _LARGEST
