"""The rules of TensorRT: those of its ONNX parser, and from ``tensorrt_int8.py`` those of INT8."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto

from s2d_edge.lint.onnx_rules import (
    IR_VERSION_RULE,
    beyond_half_constants,
    dynamic_shapes,
    input_types_rule,
    onnx_norms,
)
from s2d_edge.lint.onnx_view import (
    QUANTIZERS,
    OnnxGraph,
    attribute,
    name_of,
)
from s2d_edge.lint.rules import Place, Rule, words
from s2d_edge.lint.tensorrt_int8 import INT8_RULES

_DOCS = "https://docs.nvidia.com/deeplearning/tensorrt"
_OPERATORS = "https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md"
_OPERATORS_OF_8 = (
    "https://github.com/onnx/onnx-tensorrt/blob/009d6541b4ee1fa3f3150cd7cbabe7e56aa54840/docs/operators.md"
)
_ORIN_MEASURED = "https://github.com/onnxsim/onnxsim/pull/1742"

_OPSETS = range(17, 25)  # LayerNormalization is of 17; TensorRT 10.15 reads up to 24

# Of the operators that the matrix of TensorRT 10.15 marks as supported, those an export of this model's
# arithmetic may hold. Control flow is left out: what is inside its bodies would not be looked at.
OPERATORS = words(
    "Abs Add And ArgMax AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape "
    "Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div Einsum Elu Equal Erf Exp Expand "
    "Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool Greater GreaterOrEqual "
    "GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu "
    "Less LessOrEqual Log LogSoftmax MatMul Max MaxPool Mean Min Mish Mod Mul Neg Not Or PRelu Pad Pow "
    "QuantizeLinear RMSNormalization Range Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND Selu Shape Sigmoid "
    "Sign Sin Slice Softmax Softplus Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Trilu Unsqueeze "
    "Where Xor"
)
_RESIZE: dict[str, tuple[object, set[object]]] = {
    "mode": ("nearest", {"nearest", "linear"}),
    "coordinate_transformation_mode": (
        "half_pixel",
        {"half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners"},
    ),
    "keep_aspect_ratio_policy": ("stretch", {"stretch"}),
    "antialias": (0, {0}),
}


def _opset(graph: OnnxGraph) -> Iterator[Place]:
    if graph.opset not in _OPSETS:
        yield "the graph", f"opset {graph.opset}"


def _operators(graph: OnnxGraph) -> Iterator[Place]:
    for node in graph.nodes:
        if node.domain not in ("", "ai.onnx"):
            yield name_of(node), f"the operator {node.domain}.{node.op_type}"
        elif node.op_type not in OPERATORS:
            yield name_of(node), f"the operator {node.op_type}"


def _limits(graph: OnnxGraph) -> Iterator[Place]:
    for node in graph.nodes:
        if node.op_type == "LayerNormalization" and any(node.output[1:]):
            yield name_of(node), "LayerNormalization of more than one output"
        elif node.op_type == "Resize":
            for name, (default, allowed) in _RESIZE.items():
                if (value := attribute(node, name, default)) not in allowed:
                    yield name_of(node), f"Resize with {name} {value}"
        elif node.op_type.startswith("Reduce") and len(node.input) > 1 and node.input[1] not in graph.tensors:
            yield name_of(node), f"{node.op_type} over computed axes"
        elif node.op_type in ("Squeeze", "Unsqueeze") and not graph.constants.issuperset(node.input[1:]):
            yield name_of(node), f"{node.op_type} of computed axes"


def _unsigned_bytes(graph: OnnxGraph) -> Iterator[Place]:
    for node in graph.nodes:
        if node.op_type not in ("Cast", *QUANTIZERS):
            touched = {graph.types.get(name) for name in (*node.input, *node.output)}
            if TensorProto.UINT8 in touched:
                yield name_of(node), f"{node.op_type} of uint8"


def _wide_integers(graph: OnnxGraph) -> Iterator[Place]:
    bounds = np.iinfo(np.int32)
    for name, tensor in graph.tensors.items():
        readers = graph.readers(name)
        # A Slice's bounds are clamped to the axis anyway; the largest int64 stands for "to the end".
        if tensor.data_type != TensorProto.INT64 or all(
            node.op_type == "Slice" and index in (1, 2) for node, index in readers
        ):
            continue
        value = onnx.numpy_helper.to_array(tensor)
        wrong = value[(value < bounds.min) | (value > bounds.max)]
        if wrong.size:
            yield name_of(readers[0][0]), f"the int64 constant {name} holds {int(wrong.ravel()[0])}"


RULES: tuple[Rule[OnnxGraph], ...] = (
    IR_VERSION_RULE,
    input_types_rule(f"{_DOCS}/latest/inference-library/advanced.html"),
    Rule(
        name="opset",
        wants=f"the opset is {_OPSETS[0]} to {_OPSETS[-1]}",
        why="LayerNormalization is an operator from 17 on; TensorRT 10.15 reads 9 to 24.",
        source=_OPERATORS,
        find=_opset,
    ),
    Rule(
        name="operators",
        wants="every operator is one that the ONNX parser reads",
        why="The parser stops at the first it does not know; there is no fallback.",
        source=_OPERATORS,
        find=_operators,
    ),
    Rule(
        name="operator-limits",
        wants="operators keep within the restrictions of the support matrix",
        why="The parser reads some operators in some of their forms only.",
        source=_OPERATORS,
        find=_limits,
    ),
    Rule(
        name="static-shapes",
        wants="every shape is fixed",
        why="A dynamic input needs an optimisation profile, and its engine is slower.",
        source=f"{_DOCS}/latest/inference-library/work-dynamic-shapes.html",
        find=dynamic_shapes,
    ),
    Rule(
        name="uint8-edges",
        wants="uint8 goes from an input straight into a Cast",
        why="No other layer takes uint8, not even one that only moves data.",
        source="https://github.com/NVIDIA/TensorRT/issues/3985",
        find=_unsigned_bytes,
    ),
    Rule(
        name="single-layer-norm",
        wants="a normalisation is one operator",
        why="The squares of a spelled-out one overflow in FP16: a ViT-B fell to 19 % top-1 on an Orin Nano.",
        source=_ORIN_MEASURED,
        find=onnx_norms,
    ),
    Rule(
        name="int32-range",
        wants="int64 constants are within int32",
        why="TensorRT 8 casts int64 down to int32, and clamps what does not fit.",
        source=_OPERATORS_OF_8,
        find=_wide_integers,
        warns=True,
    ),
    Rule(
        name="fp16-range",
        wants="constants are finite and within ±65504",
        why="What is not INT8 runs in FP16, where larger numbers become infinite.",
        source=f"{_DOCS}/latest/inference-library/accuracy-considerations.html",
        find=beyond_half_constants,
    ),
    *INT8_RULES,
)
