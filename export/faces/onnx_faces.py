"""Rewrite a TFLite face graph in ONNX: pictures come as (1, H, W, C), inside channels come first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from s2d_edge.core.errors import ConfigError
from s2d_edge.export.faces.tflite_graph import Operator, TFLiteGraph
from s2d_edge.export.onnx_graph import OPSET
from s2d_edge.lint.onnx_rules import IR_VERSION

_FIRST = (0, 3, 1, 2)  # channels from last to first
_LAST = (0, 2, 3, 1)


def as_onnx(graph: TFLiteGraph, name: str, outputs: Sequence[str]) -> onnx.ModelProto:
    """Rewrite a graph whose tensors are all float32, or float16 constants.

    Args:
        name: of the graph.
        outputs: names of its outputs, in TFLite's order. The input is ``picture``, (1, H, W, C) float32.

    Returns:
        A static graph that computes in float32. Outputs have TFLite's shapes.

    Raises:
        ConfigError: an operator that none of MediaPipe's face graphs has.
    """
    writer = _Writer(graph)
    (picture,) = graph.inputs
    writer.add("Transpose", ["picture"], writer.name(picture), perm=_FIRST)
    for operator in graph.operators():
        writer.write(operator)
    ends = []
    for tensor, output in zip(graph.outputs, outputs, strict=True):
        if writer.is_picture(tensor):
            writer.add("Transpose", [writer.name(tensor)], output, perm=_LAST)
        else:
            writer.add("Identity", [writer.name(tensor)], output)
        ends.append(_described(output, graph.shape(tensor)))
    body = helper.make_graph(
        writer.nodes, name, [_described("picture", graph.shape(picture))], ends, writer.initializers
    )
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="s2d-edge",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class _Writer:
    """Nodes and constants, as they come."""

    def __init__(self, graph: TFLiteGraph) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._graph = graph
        # Constants that DENSIFY and DEQUANTIZE pass on under other numbers.
        self._constants: dict[int, NDArray[Any]] = {}

    def name(self, tensor: int) -> str:
        return f"t{tensor}"

    def is_picture(self, tensor: int) -> bool:
        """True for a tensor that has channels first here."""
        return len(self._graph.shape(tensor)) == 4

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        self.nodes.append(
            helper.make_node(kind, list(inputs), [output], name=f"{output}.{kind}", **attributes)
        )

    def store(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant; one of float16 is kept so, and cast when a runtime loads the graph."""
        half = values.dtype == np.float16
        kept = f"{name}.half" if half else name
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), kept))
        if half:
            self.add("Cast", [kept], name, to=onnx.TensorProto.FLOAT)
        return name

    def constant(self, tensor: int) -> NDArray[Any]:
        """Return a constant's values."""
        values = self._constants.get(tensor)
        if values is None:
            values = self._graph.constant(tensor)
        if values is None:
            raise ConfigError(
                f"tensor {tensor} is computed where a constant is wanted; use another mediapipe"
            )
        return values

    def write(self, operator: Operator) -> None:
        """Append the nodes of one operator.

        Raises:
            ConfigError: an operator that is not known here.
        """
        (output,) = operator.outputs
        if operator.kind in ("DENSIFY", "DEQUANTIZE"):
            self._constants[output] = self.constant(operator.inputs[0])
            return
        writers = {
            "CONV_2D": self._convolution,
            "DEPTHWISE_CONV_2D": self._convolution,
            "MAX_POOL_2D": self._pool,
            "PAD": self._pad,
            "PRELU": self._prelu,
            "RESHAPE": self._reshape,
            "CONCATENATION": self._concatenation,
            "RESIZE_BILINEAR": self._resize,
            "DEPTH_TO_SPACE": self._depth_to_space,
            "ADD": self._add,
            "RELU": self._relu,
        }
        if operator.kind not in writers:
            raise ConfigError(
                f"the face graph has the operator {operator.kind}, which is not rewritten; "
                "use the mediapipe of constraints.txt"
            )
        writers[operator.kind](operator, self.name(output))

    def _activated(self, operator: Operator, output: str) -> str:
        """Return the name for a result; append the activation that TFLite fuses after it."""
        activation = operator.options.FusedActivationFunction()
        if activation == tflite.ActivationFunctionType.NONE:
            return output
        if activation != tflite.ActivationFunctionType.RELU:
            raise ConfigError(f"the fused activation {activation} is not rewritten; use another mediapipe")
        return f"{output}.before"

    def _end(self, inner: str, output: str) -> None:
        if inner != output:
            self.add("Relu", [inner], output)

    def _convolution(self, operator: Operator, output: str) -> None:
        picture, kernel, bias = operator.inputs
        weights = self.constant(kernel)
        groups = 1
        if operator.kind == "DEPTHWISE_CONV_2D":  # (1, h, w, C)
            weights, groups = weights.transpose(3, 1, 2, 0), weights.shape[3]
        options = operator.options
        inner = self._activated(operator, output)
        kernel_shape = weights.shape[1:3]
        self.add(
            "Conv",
            [
                self.name(picture),
                self.store(f"{output}.weight", weights.transpose(0, 3, 1, 2)),
                self.store(f"{output}.bias", self.constant(bias)),
            ],
            inner,
            group=groups,
            kernel_shape=kernel_shape,
            strides=(options.StrideH(), options.StrideW()),
            dilations=(options.DilationHFactor(), options.DilationWFactor()),
            pads=self._pads(picture, kernel_shape, options),
        )
        self._end(inner, output)

    def _pool(self, operator: Operator, output: str) -> None:
        options = operator.options
        size = (options.FilterHeight(), options.FilterWidth())
        inner = self._activated(operator, output)
        self.add(
            "MaxPool",
            [self.name(operator.inputs[0])],
            inner,
            kernel_shape=size,
            strides=(options.StrideH(), options.StrideW()),
            pads=self._pads(operator.inputs[0], size, options),
        )
        self._end(inner, output)

    def _pads(self, picture: int, kernel: Sequence[int], options: Any) -> list[int]:
        """Padding above, left, below and right; TFLite's SAME puts the odd row and column last."""
        if options.Padding() == tflite.Padding.VALID:
            return [0, 0, 0, 0]
        before, after = [], []
        strides = (options.StrideH(), options.StrideW())
        for size, width, stride in zip(self._graph.shape(picture)[1:3], kernel, strides, strict=True):
            total = max((-(-size // stride) - 1) * stride + width - size, 0)
            before.append(total // 2)
            after.append(total - total // 2)
        return before + after

    def _pad(self, operator: Operator, output: str) -> None:
        pads = self.constant(operator.inputs[1])[list(_FIRST)].astype(np.int64)  # (4, 2)
        self.add("Pad", [self.name(operator.inputs[0]), self.store(f"{output}.pads", pads.T.ravel())], output)

    def _prelu(self, operator: Operator, output: str) -> None:
        slope = self.constant(operator.inputs[1]).transpose(2, 0, 1)
        self.add("PRelu", [self.name(operator.inputs[0]), self.store(f"{output}.slope", slope)], output)

    def _reshape(self, operator: Operator, output: str) -> None:
        source = operator.inputs[0]
        if not self.is_picture(source) or self.is_picture(operator.outputs[0]):
            raise ConfigError(
                "a reshape that does not flatten a picture is not rewritten; use another mediapipe"
            )
        self.add("Transpose", [self.name(source)], f"{output}.last", perm=_LAST)
        shape = np.array(self._graph.shape(operator.outputs[0]), np.int64)
        self.add("Reshape", [f"{output}.last", self.store(f"{output}.shape", shape)], output)

    def _concatenation(self, operator: Operator, output: str) -> None:
        axis = operator.options.Axis()
        if self.is_picture(operator.outputs[0]):
            axis = _LAST.index(axis % 4)
        self.add("Concat", [self.name(tensor) for tensor in operator.inputs], output, axis=axis)

    def _resize(self, operator: Operator, output: str) -> None:
        options = operator.options
        mode = "align_corners" if options.AlignCorners() else "asymmetric"
        height, width = (int(size) for size in self.constant(operator.inputs[1]))
        channels = self._graph.shape(operator.inputs[0])[3]
        sizes = np.array([1, channels, height, width], np.int64)
        self.add(
            "Resize",
            [self.name(operator.inputs[0]), "", "", self.store(f"{output}.sizes", sizes)],
            output,
            mode="linear",
            coordinate_transformation_mode="half_pixel" if options.HalfPixelCenters() else mode,
        )

    def _depth_to_space(self, operator: Operator, output: str) -> None:
        size = operator.options.BlockSize()
        self.add("DepthToSpace", [self.name(operator.inputs[0])], output, blocksize=size, mode="DCR")

    def _add(self, operator: Operator, output: str) -> None:
        inner = self._activated(operator, output)
        self.add("Add", [self.name(tensor) for tensor in operator.inputs], inner)
        self._end(inner, output)

    def _relu(self, operator: Operator, output: str) -> None:
        self.add("Relu", [self.name(operator.inputs[0])], output)


def _described(name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
