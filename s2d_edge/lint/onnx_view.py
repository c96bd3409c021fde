"""An ONNX graph with its names resolved: the producer, readers, type and shape of every value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from s2d_edge.lint.norms import MOVES

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_DEFAULT_AXIS = 1  # of quantizers


class OnnxGraph:
    """The main graph of a model, its names resolved.

    Attributes:
        ir_version: of the file format.
        opset: version of the standard operators.
        inputs, outputs: names of the graph's own, in order.
        nodes: in topological order, as ONNX stores them.
        tensors: constants as they are stored, by name.
        constants: names of the values that depend on no input of the graph.
        types: element types (of ``onnx.TensorProto``) by name, where known.
        shapes: sizes by name, None for one that is not fixed; no entry for an unknown rank.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self.ir_version = int(model.ir_version)
        self.opset = max(
            (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0
        )
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        self.inputs = [value.name for value in graph.input if value.name not in self.tensors]
        self.outputs = [value.name for value in graph.output]
        self.nodes = list(graph.node)
        self.constants = constant_names(model)
        self.types = {name: tensor.data_type for name, tensor in self.tensors.items()}
        self.shapes: dict[str, tuple[int | None, ...]] = {
            name: tuple(tensor.dims) for name, tensor in self.tensors.items()
        }
        self._producers: dict[str, onnx.NodeProto] = {}
        self._readers: dict[str, list[tuple[onnx.NodeProto, int]]] = defaultdict(list)
        for node in self.nodes:
            if node.op_type == "Constant":
                tensor = attribute(node, "value", None)
                if tensor is not None:
                    self.tensors[node.output[0]] = tensor
            self._producers |= dict.fromkeys(node.output, node)
            for index, name in enumerate(node.input):
                self._readers[name].append((node, index))
        for value in (*graph.value_info, *graph.input, *graph.output):
            kind = value.type.tensor_type
            self.types[value.name] = kind.elem_type
            if kind.HasField("shape"):
                self.shapes[value.name] = tuple(
                    size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim
                )

    def of(self, *kinds: str) -> Iterator[onnx.NodeProto]:
        """Iterate over the nodes of these kinds."""
        return (node for node in self.nodes if node.op_type in kinds)

    def value(self, name: str) -> NDArray[Any] | None:
        """Return a stored constant; None for a value that is computed or missing."""
        return numpy_helper.to_array(self.tensors[name]) if name in self.tensors else None

    def producer(self, name: str) -> onnx.NodeProto | None:
        """Return the node that makes a value; None for inputs and stored constants."""
        return self._producers.get(name)

    def readers(self, name: str) -> list[tuple[onnx.NodeProto, int]]:
        """Return the nodes that read a value, each with the index of its input."""
        return self._readers.get(name, [])

    def origin(self, name: str) -> onnx.NodeProto | None:
        """Return the node that computed a value: its producer, or one before nodes that only move numbers."""
        node = self.producer(name)
        while node is not None and node.op_type in MOVES:
            node = self.producer(node.input[0])
        return node

    def uses(self, name: str) -> Iterator[tuple[onnx.NodeProto, int]]:
        """Iterate over nodes that compute with a value: its readers, or those after nodes that move it."""
        for node, index in self.readers(name):
            if node.op_type in MOVES and index == 0:
                for output in node.output:
                    yield from self.uses(output)
            else:
                yield node, index

    def is_weight(self, quantizer: onnx.NodeProto) -> bool:
        """Return whether a quantizer works on a constant."""
        return quantizer.input[0] in self.constants

    def scale(self, quantizer: onnx.NodeProto) -> NDArray[Any] | None:
        """Return a quantizer's scale or scales; None if they are computed."""
        return self.value(quantizer.input[1])

    def int_type(self, quantizer: onnx.NodeProto) -> int:
        """Return the quantized type that a quantizer writes or reads."""
        if len(quantizer.input) > 2 and quantizer.input[2]:
            return int(self.types.get(quantizer.input[2], onnx.TensorProto.UNDEFINED))
        if quantizer.op_type == "QuantizeLinear":
            wanted = attribute(quantizer, "output_dtype", onnx.TensorProto.UNDEFINED)
            return int(wanted) or onnx.TensorProto.UINT8  # the standard's default
        return int(self.types.get(quantizer.input[0], onnx.TensorProto.UNDEFINED))

    def axis(self, quantizer: onnx.NodeProto) -> int:
        """Return the axis along which a quantizer's scales lie, counted from 0."""
        axis = int(attribute(quantizer, "axis", _DEFAULT_AXIS))
        return axis % len(self.shapes[quantizer.input[0]]) if axis < 0 else axis


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Return an attribute's value; text as str."""
    for each in node.attribute:
        if each.name == name:
            value = onnx.helper.get_attribute_value(each)
            return value.decode() if isinstance(value, bytes) else value
    return default


def name_of(node: onnx.NodeProto) -> str:
    """Return a node's name; for a node without one its operator and output."""
    return node.name or f"{node.op_type} of {node.output[0]}"


def type_name(elem_type: int) -> str:
    """Return the name of an element type, in lower case."""
    return str(onnx.TensorProto.DataType.Name(elem_type)).lower()


def constant_names(model: onnx.ModelProto) -> set[str]:
    """Return the names of the values that depend on no input of the graph."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:  # ONNX stores nodes in topological order
        if all(name in constants for name in node.input if name):
            constants.update(node.output)
    return constants
