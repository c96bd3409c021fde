"""Place one's way in an OpenVINO model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from s2d_edge.lint.interface import Port, Side
from s2d_edge.lint.norms import Part, Parts

# What stands between a constant stored in few bits and the operation that uses it.
DECOMPRESSION = frozenset({"Convert", "Multiply", "Subtract", "Reshape", "Transpose"})
_DTYPES = {"u8": "uint8", "i32": "int32", "f32": "float32"}
_AS_IN_ONNX = {
    "Power": "Pow",
    "Multiply": "Mul",
    "Divide": "Div",
    "Subtract": "Sub",
    "Maximum": "Max",
    "Minimum": "Min",
    "Clamp": "Clip",
    "Convert": "Cast",
    "Broadcast": "Expand",
    "Select": "Where",
    "AvgPool": "AveragePool",
    "StridedSlice": "Slice",
    "VariadicSplit": "Split",
}
LINEARS = frozenset({"MatMul", "Convolution", "GroupConvolution"})


def name_of(op: Any) -> str:
    """Return an operation's name."""
    return str(op.get_friendly_name())


def kind_of(op: Any) -> str:
    """Return an operation's type."""
    return str(op.get_type_name())


def source_names(op: Any) -> list[str]:
    """Names of the operations that feed ``op``, in the order of its inputs; none for a constant."""
    return [name_of(value.get_node()) for value in op.input_values()]


def constant_names(model: ov.Model) -> set[str]:
    """Names of the operations that depend on no input of the graph."""
    constants: set[str] = set()
    for op in model.get_ordered_ops():
        if kind_of(op) != "Parameter" and constants.issuperset(source_names(op)):
            constants.add(name_of(op))
    return constants


def type_of(op: Any) -> str:
    """Element type of an operation's first output, as OpenVINO writes it: ``f32``, ``i8``, …"""
    return str(op.output(0).get_element_type().get_type_name())


def ports(model: ov.Model, side: Side) -> list[Port]:
    """List a model's inputs or outputs, for :func:`s2d_edge.lint.interface.interface_rule`."""
    found = []
    for port in model.inputs if side == "inputs" else model.outputs:
        shape, kind = port.get_partial_shape(), port.get_element_type()
        sizes = (
            None
            if shape.rank.is_dynamic
            else tuple(None if size.is_dynamic else size.get_length() for size in shape)
        )
        name = str(kind.get_type_name())
        found.append(Port(names=tuple(sorted(port.get_names())), dtype=_DTYPES.get(name, name), shape=sizes))
    return found


def readers(op: Any) -> Iterator[tuple[Any, int]]:
    """The operations that read the outputs of ``op``, and as which of their inputs."""
    for output in op.outputs():
        for target in output.get_target_inputs():
            yield target.get_node(), target.get_index()


def parts_of(model: ov.Model) -> Parts:
    """List a model's operations under the names that ONNX has for them."""
    operations = model.get_ordered_ops()
    made = {name_of(op): op for op in operations}

    def value_of(name: str) -> NDArray[Any] | None:
        op = made[name.rpartition(":")[0]]
        while kind_of(op) in ("Convert", "Reshape", "Broadcast"):
            op = op.input_value(0).get_node()
        return np.asarray(op.data) if kind_of(op) == "Constant" else None

    parts = [
        Part(
            name_of(op),
            _AS_IN_ONNX.get(kind_of(op), kind_of(op)),
            tuple(_value_name(value) for value in op.input_values()),
            tuple(_value_name(value) for value in op.outputs()),
        )
        for op in operations
    ]
    fixed = constant_names(model)
    constants = {name for part in parts if part.name in fixed for name in part.outputs}
    return Parts(parts, constants, value_of)


def _value_name(value: Any) -> str:
    return f"{name_of(value.get_node())}:{value.get_index()}"
