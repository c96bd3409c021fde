"""Every rule for TensorRT finds its planted violation, and nothing else finds one there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from s2d_edge.lint.onnx_view import OnnxGraph
from s2d_edge.lint.rules import Violation, broken
from s2d_edge.lint.tensorrt import RULES
from tests.lint.graphs import insert, int8_graph, node, store

Model = onnx.ModelProto


def lint(model: Model) -> list[Violation]:
    graph = OnnxGraph(model)
    return [violation for rule in RULES for violation in broken(rule, graph)]


def known_shape(model: Model, name: str, *shape: int) -> None:
    """Declare the shapes that inference cannot find, so that the plant breaks one rule only."""
    model.graph.value_info.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def newer_file(model: Model) -> None:
    model.ir_version = 11


def too_new(model: Model) -> None:
    model.opset_import[0].version = 25


def unknown_operator(model: Model) -> None:
    drawn = node(model, "active")
    drawn.op_type = "Bernoulli"
    del drawn.input[1:]


def foreign_operator(model: Model) -> None:
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    node(model, "active").domain = "com.microsoft"
    known_shape(model, "active.out", 1, 8, 4, 4)


def cubic_resize(model: Model) -> None:
    sizes = store(model, "sizes", np.array([1, 3, 32, 32]))
    node(model, "pixels.q").input[0] = insert(
        model, "pixels.q", "Resize", "resize", ["channels.out", "", "", sizes], mode="cubic"
    )


def computed_axes(model: Model) -> None:
    axes = store(model, "a", np.array([-1]))
    node(model, "mean").input[1] = insert(model, "mean", "Neg", "minus", [axes])
    known_shape(model, "mean.out", 1, 8)


def norm_of_two_outputs(model: Model) -> None:
    node(model, "norm").output.append("deviations")


def dynamic_batch(model: Model) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"


def wide_input(model: Model) -> None:
    model.graph.input.append(onnx.helper.make_tensor_value_info("wide", TensorProto.INT64, (1,)))


def moved_bytes(model: Model) -> None:
    node(model, "cast").input[0] = insert(model, "cast", "Transpose", "early", ["clip"], perm=[0, 1, 2, 3, 4])


def spell_out(model: Model, square: Callable[[Model, str], str]) -> None:
    axes, eps = store(model, "last", np.array([-1])), store(model, "eps", np.array(1e-6, np.float32))
    mean = insert(model, "norm", "ReduceMean", "m1", ["tokens.out", axes])
    centred = insert(model, "norm", "Sub", "centred", ["tokens.out", mean])
    variance = insert(model, "norm", "ReduceMean", "m2", [square(model, centred), axes])
    root = insert(model, "norm", "Sqrt", "root", [insert(model, "norm", "Add", "plus", [variance, eps])])
    insert(model, "norm", "Div", "quotient", [centred, root])
    model.graph.node.remove(node(model, "norm"))
    node(model, "normed.q").input[0] = "quotient.out"


def norm_by_power(model: Model) -> None:
    two = store(model, "two", np.array(2, np.float32))
    spell_out(model, lambda model, x: insert(model, "norm", "Pow", "square", [x, two]))


def norm_by_product(model: Model) -> None:
    spell_out(model, lambda model, x: insert(model, "norm", "Mul", "square", [x, x]))


def wide_integer(model: Model) -> None:
    insert(model, "mean", "Cast", "wide", [store(model, "big", np.array([2**40]))], to=TensorProto.FLOAT)


def infinite_mask(model: Model) -> None:
    mask = store(model, "mask", np.array([0, -np.inf], np.float32).repeat(4))
    node(model, "mean").input[0] = insert(model, "mean", "Add", "masked", ["residual.out", mask])


def large_constant(model: Model) -> None:
    store(model, "range", np.array(7e4, np.float32))


def shifted(model: Model) -> None:
    node(model, "normed.q").input[2] = store(model, "shift", np.array(3, np.int8))


def computed_zero_point(model: Model) -> None:
    node(model, "normed.q").input[2] = insert(model, "normed.q", "Identity", "same", ["normed.zero"])


def unsigned(model: Model) -> None:
    store(model, "normed.zero", np.array(0, np.uint8))


def unsigned_by_default(model: Model) -> None:
    del node(model, "normed.q").input[2:]


def quantized_bias(model: Model) -> None:
    bias, scale = (
        store(model, "bias", np.zeros(8, np.int32)),
        store(model, "bias.scale", np.full(8, 0.1, np.float32)),
    )
    node(model, "conv").input.append(
        insert(model, "conv", "DequantizeLinear", "bias.dq", [bias, scale], axis=0)
    )


def zero_scale(model: Model) -> None:
    store(model, "normed.scale", np.array(0, np.float32))


def computed_scale(model: Model) -> None:
    for half in ("normed.q", "normed.dq"):
        node(model, half).input[1] = "scale.out"
    insert(model, "normed.q", "Exp", "scale", [store(model, "log", np.array(-3, np.float32))])


def lone_quantizer(model: Model) -> None:
    insert(model, "mean", "QuantizeLinear", "lone", ["residual.out", "normed.scale", "normed.zero"])


def unequal_scales(model: Model) -> None:
    node(model, "normed.dq").input[1] = store(model, "other", np.array(0.06, np.float32))


def lone_dequantizer(model: Model) -> None:
    model.graph.input.append(onnx.helper.make_tensor_value_info("codes", TensorProto.FLOAT, (1, 16, 8)))
    codes = insert(model, "normed.dq", "Cast", "rounded", ["codes"], to=TensorProto.INT8)
    node(model, "normed.dq").input[0] = codes
    model.graph.node.remove(node(model, "normed.q"))


def quantizer_of_weights(model: Model) -> None:
    weights = store(model, "w32", np.full((8, 8), 0.1, np.float32))
    node(model, "w.dq").input[0] = insert(
        model, "w.dq", "QuantizeLinear", "w.q", [weights, "w.scale", "w.zero"], axis=1
    )


def scale_per_channel(model: Model) -> None:
    scale, zero = (
        store(model, "each", np.full(3, 0.05, np.float32)),
        store(model, "zeros", np.zeros(3, np.int8)),
    )
    for half in ("pixels.q", "pixels.dq"):
        node(model, half).input[1:] = [scale, zero]


def wrong_axis(model: Model) -> None:
    node(model, "w.dq").attribute[0].i = 0


def wrong_axis_of_gemm(model: Model) -> None:
    node(model, "wh.dq").attribute[0].i = -1
    store(model, "wh.scale", np.full(8, 0.01, np.float32))
    store(model, "wh.zero", np.zeros(8, np.int8))


def wrong_axis_of_convolution(model: Model) -> None:
    node(model, "stem.dq").attribute[0].i = 2
    store(model, "stem.scale", np.full(8, 0.01, np.float32))
    store(model, "stem.zero", np.zeros(8, np.int8))


def quantized_norm(model: Model) -> None:
    insert(model, "norm", "QuantizeLinear", "n.q", ["tokens.out", "normed.scale", "normed.zero"])
    node(model, "norm").input[0] = insert(
        model, "norm", "DequantizeLinear", "n.dq", ["n.q.out", "normed.scale", "normed.zero"]
    )


def quantized_table(model: Model) -> None:
    index = store(model, "rows", np.array([0, 1]))
    insert(model, "mean", "Gather", "lookup", ["w.dq.out", index])


def quantized_residual(model: Model) -> None:
    insert(model, "residual", "QuantizeLinear", "r.q", ["tokens.out", "normed.scale", "normed.zero"])
    insert(model, "residual", "DequantizeLinear", "r.dq", ["r.q.out", "normed.scale", "normed.zero"])
    shape = store(model, "r.shape", np.array([1, 16, 8]))
    node(model, "residual").input[0] = insert(model, "residual", "Reshape", "moved", ["r.dq.out", shape])


# What is planted, the rule that finds it, and the nodes it names.
PLANTS: list[tuple[Callable[[Model], None], str, set[str]]] = [
    (newer_file, "ir-version", {"the graph"}),
    (too_new, "opset", {"the graph"}),
    (unknown_operator, "operators", {"active"}),
    (foreign_operator, "operators", {"active"}),
    (cubic_resize, "operator-limits", {"resize"}),
    (computed_axes, "operator-limits", {"mean"}),
    (norm_of_two_outputs, "operator-limits", {"norm"}),
    (dynamic_batch, "static-shapes", {"clip"}),
    (wide_input, "input-types", {"wide"}),
    (moved_bytes, "uint8-edges", {"early"}),
    (norm_by_power, "single-layer-norm", {"square"}),
    (norm_by_product, "single-layer-norm", {"square"}),
    (wide_integer, "int32-range", {"wide"}),
    (infinite_mask, "fp16-range", {"masked"}),
    (large_constant, "fp16-range", {"rescale"}),
    (shifted, "zero-points", {"normed.q"}),
    (computed_zero_point, "zero-points", {"normed.q"}),
    (unsigned, "signed-int8", {"normed.q", "normed.dq"}),
    (unsigned_by_default, "signed-int8", {"normed.q"}),
    (quantized_bias, "signed-int8", {"bias.dq"}),
    (zero_scale, "scales", {"normed.q", "normed.dq"}),
    (computed_scale, "scales", {"normed.q", "normed.dq"}),
    (lone_quantizer, "q-dq-pairs", {"lone"}),
    (unequal_scales, "q-dq-pairs", {"normed.q"}),
    (lone_dequantizer, "q-dq-pairs", {"normed.dq"}),
    (quantizer_of_weights, "stored-weights", {"w.q"}),
    (scale_per_channel, "activation-scales", {"pixels.q", "pixels.dq"}),
    (wrong_axis, "weight-axes", {"w.dq"}),
    (wrong_axis_of_gemm, "weight-axes", {"wh.dq"}),
    (wrong_axis_of_convolution, "weight-axes", {"stem.dq"}),
    (quantized_norm, "quantized-operators", {"norm"}),
    (quantized_table, "quantized-operators", {"lookup"}),
    (quantized_residual, "float-residuals", {"residual"}),
]


def test_clean_graph_breaks_nothing() -> None:
    assert lint(int8_graph()) == []


@pytest.mark.parametrize(("plant", "rule", "nodes"), PLANTS, ids=[plant.__name__ for plant, _, _ in PLANTS])
def test_planted_violation_is_found(plant: Callable[[Model], None], rule: str, nodes: set[str]) -> None:
    model = int8_graph()
    plant(model)
    found = lint(model)
    assert {(violation.rule, violation.node) for violation in found} == {(rule, name) for name in nodes}
    assert all(violation.source.startswith("https://") for violation in found)
    assert all(violation.node in violation.sentence and rule in violation.sentence for violation in found)
    assert all(violation.warns == (rule == "int32-range") for violation in found)


def test_every_rule_has_a_plant() -> None:
    assert {rule for _, rule, _ in PLANTS} == {rule.name for rule in RULES}


def test_several_violations_are_all_found() -> None:
    model = int8_graph()
    planted = moved_bytes, shifted, wrong_axis_of_gemm, quantized_residual, large_constant
    for plant in planted:
        plant(model)
    assert {violation.rule for violation in lint(model)} == {
        rule for plant, rule, _ in PLANTS if plant in planted
    }


def test_end_of_a_slice_may_be_the_largest_integer() -> None:
    model = int8_graph()
    bounds = [store(model, name, np.array([value])) for name, value in (("from", 0), ("to", 2**63 - 1))]
    node(model, "mean").input[0] = insert(model, "mean", "Slice", "rest", ["residual.out", *bounds, "axes"])
    assert lint(model) == []
