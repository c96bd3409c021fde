"""The rules of OpenVINO's devices for an IR, most of them the NPU's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openvino as ov

from s2d_edge.lint.norms import spelled_out_norms
from s2d_edge.lint.openvino_view import (
    DECOMPRESSION,
    LINEARS,
    constant_names,
    kind_of,
    name_of,
    parts_of,
    readers,
    type_of,
)
from s2d_edge.lint.rules import Place, Rule, beyond_half, words

_DOCS = "https://docs.openvino.ai"
_NPU_DEVICE = f"{_DOCS}/2026/openvino-workflow/running-inference/inference-devices-and-modes/npu-device.html"
_DEVICES = f"{_DOCS}/2025/documentation/compatibility-and-support/supported-devices.html"
_INFERENCE = f"{_DOCS}/2025/openvino-workflow/running-inference.html"
_STATE = f"{_DOCS}/2025/openvino-workflow/running-inference/stateful-models.html"
_COMPRESSION = f"{_DOCS}/2024/api/ie_python_api/_autosummary/openvino.save_model.html"
_INT8 = f"{_DOCS}/2024/documentation/openvino-ir-format/intermediate-representation-int8-inference.html"
_FAKE_QUANTIZE = (
    f"{_DOCS}/2024/documentation/openvino-extensibility/openvino-plugin-library/advanced-guides/"
    "quantized-models.html"
)
_NNCF_SETUPS = "https://github.com/openvinotoolkit/nncf/tree/develop/src/nncf/common/hardware/setups"
_NPU_FRONTEND = (
    "https://github.com/openvinotoolkit/npu_compiler/blob/0ccf9bf3faf8106f5575a905d665feab44e59b6f/"
    "src/vpux_compiler/src/frontend/IE.cpp"
)

# Of the operations that the NPU compiler's frontend dispatches, after the downgrades it runs before (Gelu-7,
# Pad-12, Interpolate-11, Slice-8), those an export of this model's arithmetic may hold.
NPU_OPERATIONS = words(
    "Abs Add Assign AvgPool BatchNormInference Broadcast Ceiling Clamp Concat Constant Convert "
    "ConvertLike Convolution ConvolutionBackpropData Cos CumSum Divide Elu Equal Erf Exp FakeQuantize "
    "Floor FloorMod Gather GatherElements GatherND Gelu Greater GreaterEqual GroupConvolution "
    "GroupNormalization HSigmoid HSwish HardSigmoid Interpolate Less LessEqual Log LogSoftmax LogicalAnd "
    "LogicalNot LogicalOr LogicalXor MVN MatMul MaxPool Maximum Minimum Mish Mod Multiply Negative "
    "NormalizeL2 NotEqual PRelu Pad Parameter Power Range ReadValue ReduceL1 ReduceL2 ReduceMax "
    "ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Result Roll Round ScaledDotProductAttention "
    "ScatterElementsUpdate ScatterNDUpdate ScatterUpdate Select Selu Sigmoid Sign Sin Slice SoftPlus "
    "Softmax Split Sqrt SquaredDifference Squeeze StridedSlice Subtract Swish Tan Tanh Tile TopK "
    "Transpose Unsqueeze VariadicSplit"
)
_NPU_TYPES = words("f64 f32 f16 bf16 i64 u64 i32 u32 i16 u16 i8 u8 i4 u4 boolean")
_INPUT_TYPES = ("u8", "i32", "f32")
_LEVELS = (255, 256)
_FLOATS = {"f32", "f64"}
_HALVES = {"f16", "bf16"}
_BYTES = {"i8", "u8"}


def _dynamic_shapes(model: ov.Model) -> Iterator[Place]:
    for op in model.get_ordered_ops():
        if any(value.get_partial_shape().is_dynamic for value in op.input_values()):
            continue  # the one that began it is named
        for output in op.outputs():
            if output.get_partial_shape().is_dynamic:
                yield name_of(op), f"{kind_of(op)} of shape {output.get_partial_shape()}"


def _states(model: ov.Model) -> Iterator[Place]:
    for op in model.get_ordered_ops():
        if kind_of(op) in ("ReadValue", "Assign"):
            yield name_of(op), f"the operation {kind_of(op)}"


def _constants(model: ov.Model, types: set[str]) -> Iterator[Any]:
    return (op for op in model.get_ordered_ops() if kind_of(op) == "Constant" and type_of(op) in types)


def _compressed(model: ov.Model) -> Iterator[Place]:
    for op in _constants(model, _HALVES):
        yield name_of(op), f"a constant of {type_of(op)}"


def _fake_quantizes(model: ov.Model) -> Iterator[Any]:
    return (op for op in model.get_ordered_ops() if kind_of(op) == "FakeQuantize")


def _levels(model: ov.Model) -> Iterator[Place]:
    for op in _fake_quantizes(model):
        levels = op.get_attributes()["levels"]
        if levels not in _LEVELS:
            yield name_of(op), f"FakeQuantize of {levels} levels"


def _ranges(model: ov.Model) -> Iterator[Place]:
    for op in _fake_quantizes(model):
        bounds = [value.get_node() for value in op.input_values()[1:]]
        if any(kind_of(bound) != "Constant" for bound in bounds):
            yield name_of(op), "FakeQuantize over a computed range"
            continue
        input_low, input_high, output_low, output_high = (bound.data for bound in bounds)
        for low, high in ((input_low, input_high), (output_low, output_high)):
            if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
                yield name_of(op), f"FakeQuantize from {low.ravel()[0]:g} to {high.ravel()[0]:g}"
                break


def _activation_ranges(model: ov.Model) -> Iterator[Place]:
    constants = constant_names(model)
    for op in _fake_quantizes(model):
        data, *bounds = op.input_values()
        sizes = {int(np.prod(tuple(bound.get_shape()))) for bound in bounds}
        if sizes == {1} or name_of(data.get_node()) in constants:
            continue
        others = [node for node, _ in readers(op) if kind_of(node) != "GroupConvolution"]
        if others:
            yield name_of(op), f"{max(sizes)} ranges for one activation, read by {kind_of(others[0])}"


def _small_constants(model: ov.Model) -> Iterator[Place]:
    constants = constant_names(model)
    for op in _constants(model, _BYTES):
        frontier = [op]
        while frontier:
            for node, _ in readers(frontier.pop()):
                if name_of(node) in constants and kind_of(node) in DECOMPRESSION:
                    frontier.append(node)
                elif kind_of(node) not in LINEARS:
                    yield name_of(node), f"{kind_of(node)} reads the 8-bit constant {name_of(op)}"


def _weight_axes(model: ov.Model) -> Iterator[Place]:
    constants = constant_names(model)
    for op in model.get_ordered_ops():
        if kind_of(op) not in LINEARS:
            continue
        for index, value in enumerate(op.input_values()):
            weight = value.get_node()
            if name_of(weight) not in constants or not _is_quantized(weight):
                continue
            rank = len(value.get_shape())
            shape = tuple(weight.input_value(1).get_shape())
            along = {rank - len(shape) + axis for axis, size in enumerate(shape) if size > 1}
            wanted = _output_axes(op, index, rank)
            if not along <= wanted:
                found = f"scales along axes {sorted(along)} of the weights of {name_of(op)}"
                yield name_of(weight), f"{found}, whose outputs lie along {sorted(wanted)}"


def _is_quantized(weight: Any) -> bool:
    """Return whether a constant is the product of 8-bit numbers and scales, or a FakeQuantize."""
    if kind_of(weight) == "Multiply":
        stored = weight
        while kind_of(stored) in DECOMPRESSION:
            stored = stored.input_value(0).get_node()
        return type_of(stored) in _BYTES
    return kind_of(weight) == "FakeQuantize"


def _output_axes(op: Any, index: int, rank: int) -> set[int]:
    """The axes of a weight along which the outputs of a linear or convolution lie."""
    if kind_of(op) == "MatMul":
        attributes = op.get_attributes()
        transposed = bool(attributes["transpose_b"] if index else attributes["transpose_a"])
        return {rank - 2 if transposed == bool(index) else rank - 1}
    return {0} if kind_of(op) == "Convolution" else {0, 1}  # of a group convolution, groups and outputs


def _input_types(model: ov.Model) -> Iterator[Place]:
    for op in model.get_parameters():
        if type_of(op) not in _INPUT_TYPES:
            yield name_of(op), f"an input of {type_of(op)}"


def _npu_operations(model: ov.Model) -> Iterator[Place]:
    for op in model.get_ordered_ops():
        if kind_of(op) not in NPU_OPERATIONS:
            yield name_of(op), f"the operation {kind_of(op)}"


def _npu_types(model: ov.Model) -> Iterator[Place]:
    for op in model.get_ordered_ops():
        for output in op.outputs():
            found = output.get_element_type().get_type_name()
            if found not in _NPU_TYPES:
                yield name_of(op), f"{kind_of(op)} of {found}"


def _beyond_half(model: ov.Model) -> Iterator[Place]:
    for op in _constants(model, _FLOATS | _HALVES):
        number = beyond_half(np.asarray(op.data, np.float64))
        if number is not None:
            yield name_of(op), f"a constant that holds {number:g}"
    for op in model.get_ordered_ops():
        if kind_of(op) == "Divide":
            divisor = op.input_value(1).get_node()
            if kind_of(divisor) == "Constant" and bool((divisor.data == 0).any()):
                yield name_of(op), f"Divide by the constant {name_of(divisor)}, which holds 0"


RULES: tuple[Rule[ov.Model], ...] = (
    Rule(
        name="input-types",
        wants="inputs are uint8, int32 or float32",
        why="The host gives pictures as uint8, ages as int32, rings as float32; OpenVINO converts none.",
        source=_INFERENCE,
        find=_input_types,
    ),
    Rule(
        name="static-shapes",
        wants="every shape is fixed",
        why="An NPU takes no other, and says so only by failing to compile; a GPU takes some.",
        source=_DEVICES,
        find=_dynamic_shapes,
    ),
    Rule(
        name="explicit-state",
        wants="state enters and leaves as inputs and outputs",
        why="The host keeps one state per face, which variables inside the model cannot.",
        source=_STATE,
        find=_states,
    ),
    Rule(
        name="uncompressed",
        wants="floating-point constants are stored in 32 bits",
        why="Saving compresses to FP16 by default, and the promised parity is that of FP32.",
        source=_COMPRESSION,
        find=_compressed,
    ),
    Rule(
        name="levels",
        wants="a FakeQuantize has 256 levels, or 255",
        why="Other numbers are no INT8, and run in floating point.",
        source=_FAKE_QUANTIZE,
        find=_levels,
    ),
    Rule(
        name="ranges",
        wants="a FakeQuantize has constant, finite ranges of some width",
        why="Scales are computed from the range when the model is compiled.",
        source=_FAKE_QUANTIZE,
        find=_ranges,
    ),
    Rule(
        name="activation-ranges",
        wants="an activation has one range, except before a depthwise convolution",
        why="NNCF's descriptions of CPU, GPU and NPU allow ranges per channel there alone.",
        source=_NNCF_SETUPS,
        find=_activation_ranges,
    ),
    Rule(
        name="weight-axes",
        wants="scales of a weight lie along its output channels",
        why="Only a factor of the output channel can be taken out of the INT8 sum.",
        source=_FAKE_QUANTIZE,
        find=_weight_axes,
    ),
    Rule(
        name="linear-weights",
        wants="8-bit constants are weights of linears and convolutions",
        why="A table that holds a mask's large number beside small ones keeps nothing of the small ones.",
        source=_INT8,
        find=_small_constants,
    ),
)

NPU_RULES: tuple[Rule[ov.Model], ...] = (
    *RULES,
    Rule(
        name="npu-operations",
        wants="every operation is one that the NPU compiler imports",
        why="It stops at the first it does not know; heterogeneous execution is not supported.",
        source=_NPU_FRONTEND,
        find=_npu_operations,
    ),
    Rule(
        name="npu-types",
        wants="every value has an element type that the NPU compiler imports",
        why="It stops at any other.",
        source=_NPU_FRONTEND,
        find=_npu_types,
    ),
    Rule(
        name="single-layer-norm",
        wants="a normalisation is one operation",
        why="The NPU computes in FP16, where the squares of a spelled-out one overflow.",
        source=_NPU_DEVICE,
        find=lambda model: spelled_out_norms(parts_of(model)),
    ),
    Rule(
        name="fp16-range",
        wants="constants are finite and within ±65504",
        why="The NPU computes in FP16 whatever is requested, where larger numbers become infinite.",
        source=_NPU_DEVICE,
        find=_beyond_half,
    ),
)
