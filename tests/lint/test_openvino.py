"""Every rule for OpenVINO's devices finds its planted violation, and nothing else finds one there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from openvino import opset15

from s2d_edge.lint import openvino as rules
from s2d_edge.lint.rules import Rule, broken

Range = tuple[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A small INT8 model: convolution, depthwise convolution, linear. The defaults are clean."""

    batch: int = 1
    levels: int = 256
    pixels: Range = (0.0, 1.0)
    deep: tuple[int, ...] = (1, 4, 1, 1)  # shape of the ranges before the depthwise convolution
    linear: tuple[int, ...] = ()  # … and before the linear
    stem_scale: tuple[int, ...] = (4, 1, 1, 1)
    linear_scale: tuple[int, ...] = (3, 1)
    more: Callable[[Any], Any] = lambda x: x  # what is done to the logits
    inputs: tuple[Any, ...] = ()  # beside the clip


def build(plan: Plan) -> ov.Model:
    clip = ops.parameter([plan.batch, 8, 8, 3], np.uint8, name="clip")
    x = ops.transpose(ops.convert(clip, "f32"), [0, 3, 1, 2])
    x = fake(x, *plan.pixels, plan.levels, "pixels")
    x = ops.convolution(x, weight((4, 3, 2, 2), plan.stem_scale, "stem"), [2, 2], [0, 0], [0, 0], [1, 1])
    x = fake(x, np.full(plan.deep, -1.0), np.full(plan.deep, 1.0), 256, "deep")
    depth = weight((4, 1, 1, 1, 1), (4, 1, 1, 1, 1), "depth")
    x = ops.group_convolution(x, depth, [1, 1], [0, 0], [0, 0], [1, 1])
    x = ops.reduce_mean(x, [2, 3], keep_dims=False)
    x = fake(x, np.full(plan.linear, -1.0), np.full(plan.linear, 1.0), 256, "feature")
    x = ops.matmul(x, weight((3, 4), plan.linear_scale, "w"), False, True)
    return ov.Model([plan.more(x)], [clip, *plan.inputs], "planted")


def fake(x: Any, low: Any, high: Any, levels: int, name: str) -> Any:
    low, high = (value if isinstance(value, ov.Node) else np.float32(value) for value in (low, high))
    return ops.fake_quantize(x, low, high, low, high, levels, name=name)


def weight(shape: tuple[int, ...], scale: tuple[int, ...], name: str) -> Any:
    stored = ops.convert(ops.constant(np.ones(shape, np.int8)), "f32")
    return ops.multiply(stored, ops.constant(np.full(scale, 0.01, np.float32)), name=name)


def named(node: Any, name: str) -> Any:
    node.set_friendly_name(name)
    return node


def computed_range() -> ov.Model:
    low = ops.parameter([], np.float32, name="low")
    return build(Plan(pixels=(low, ops.constant(np.float32(1))), inputs=(low,)))


def stateful(plan: Plan) -> ov.Model:
    model = build(plan)
    logits = model.get_results()[0].input_value(0)
    past = named(ops.read_value(logits, "past", ov.Type.f32, ov.PartialShape([1, 3])), "read")
    write = named(ops.assign(past, "past"), "write")
    return ov.Model([ops.result(ops.add(logits, past))], [write], model.get_parameters(), "planted")


def constant(value: Any, kind: type[np.generic], name: str) -> Any:
    return named(ops.constant(np.array(value, kind)), name)


def plus(node: Any) -> Plan:
    return Plan(more=lambda x: ops.add(x, node))


def table(x: Any) -> Any:
    stored = ops.convert(ops.constant(np.ones((2, 3), np.int8)), "f32")
    rows = ops.multiply(stored, ops.constant(np.full((2, 1), 0.1, np.float32)))
    index = ops.convert(ops.reduce_max(x, [0, 1]), "i32")
    return ops.add(x, named(ops.gather(rows, index, ops.constant(np.int32(0))), "lookup"))


def searched(x: Any) -> Any:
    ladder = ops.constant(np.arange(3, dtype=np.float32)[None])
    return ops.convert(named(opset15.search_sorted(ladder, x), "search"), "f32")


def with_input(kind: ov.Type) -> ov.Model:
    model = build(Plan())
    more = named(ops.parameter([1], kind), "more")
    result = named(ops.result(more), "more.out")
    return ov.Model([*model.get_results(), result], [*model.get_parameters(), more], "planted")


def quarter(x: Any) -> Any:
    return ops.add(x, ops.convert(named(ops.constant([0.5], ov.Type.f8e4m3), "quarter"), "f32"))


def last_axis() -> Any:
    return ops.constant(np.array([-1], np.int64))


def root(square: Any, total: Callable[..., Any] = ops.reduce_mean) -> Any:
    mean = named(total(square, last_axis(), keep_dims=True), "mean")
    return ops.sqrt(ops.add(mean, ops.constant(np.float32(1e-6))))


def centred(x: Any) -> Any:
    return ops.subtract(x, ops.reduce_mean(x, last_axis(), keep_dims=True))


def by_power(x: Any) -> Any:
    x, two = centred(x), ops.convert(ops.constant(np.int32(2)), "f32")
    return ops.divide(x, root(named(ops.power(x, two), "square")))


def by_product(x: Any) -> Any:
    reciprocal = ops.power(root(named(ops.multiply(x, x), "square")), ops.constant(np.float32(-1)))
    return ops.multiply(x, reciprocal)


def by_squared_difference(x: Any) -> Any:
    mean = ops.reduce_mean(x, last_axis(), keep_dims=True)
    return ops.divide(x, root(named(ops.squared_difference(x, mean), "square"), ops.reduce_sum))


def by_power_of_a_half(x: Any) -> Any:
    square = named(ops.multiply(x, x), "square")
    mean = ops.reduce_mean(square, last_axis(), keep_dims=True)
    bounded = ops.maximum(mean, ops.constant(np.float32(1e-6)))
    return ops.multiply(x, ops.power(bounded, ops.constant(np.float32(-0.5))))


def by_length(x: Any) -> Any:
    length = named(ops.reduce_l2(x, last_axis(), keep_dims=True), "square")
    return ops.divide(x, ops.clamp(length, 1e-6, 100.0))


NORMS = (by_power, by_product, by_squared_difference, by_power_of_a_half, by_length)
halves = constant([0.5], np.float16, "half")
Planted = Callable[[], ov.Model]
# What is planted, the rule that finds it, and the nodes it names.
PLANTS: dict[str, tuple[Planted, str, set[str]]] = {
    "dynamic batch": (lambda: build(Plan(batch=-1)), "static-shapes", {"clip"}),
    "state": (lambda: stateful(Plan()), "explicit-state", {"read", "write"}),
    "half": (lambda: build(plus(ops.convert(halves, "f32"))), "uncompressed", {"half"}),
    "levels": (lambda: build(Plan(levels=16)), "levels", {"pixels"}),
    "empty range": (lambda: build(Plan(pixels=(1.0, 1.0))), "ranges", {"pixels"}),
    "inverted range": (lambda: build(Plan(pixels=(1.0, 0.0))), "ranges", {"pixels"}),
    "computed range": (computed_range, "ranges", {"pixels"}),
    "range per channel": (lambda: build(Plan(linear=(1, 4))), "activation-ranges", {"feature"}),
    "axis of a linear": (lambda: build(Plan(linear_scale=(1, 4))), "weight-axes", {"w"}),
    "axis of a convolution": (lambda: build(Plan(stem_scale=(1, 3, 1, 1))), "weight-axes", {"stem"}),
    "table": (lambda: build(Plan(more=table)), "linear-weights", {"lookup"}),
    "operation": (lambda: build(Plan(more=searched)), "npu-operations", {"search"}),
    "quarter": (lambda: build(Plan(more=quarter)), "npu-types", {"quarter"}),
    "int64 input": (lambda: with_input(ov.Type.i64), "input-types", {"more"}),
    "half input": (lambda: with_input(ov.Type.f16), "input-types", {"more"}),
    "division": (
        lambda: build(Plan(more=lambda x: named(ops.divide(x, ops.constant([np.float32(0)])), "ratio"))),
        "fp16-range",
        {"ratio"},
    ),
    **{each.__name__: (partial(build, Plan(more=each)), "single-layer-norm", {"square"}) for each in NORMS},
    "mask": (lambda: build(plus(constant([-np.inf], np.float32, "mask"))), "fp16-range", {"mask"}),
    "large": (lambda: build(plus(constant([7e4], np.float32, "large"))), "fp16-range", {"large"}),
}


def lint(model: ov.Model, kept: Sequence[Rule[Any]] = rules.NPU_RULES) -> set[tuple[str, str]]:
    return {(violation.rule, violation.node) for rule in kept for violation in broken(rule, model)}


def test_clean_model_breaks_nothing() -> None:
    assert lint(build(Plan())) == set()


@pytest.mark.parametrize("name", PLANTS)
def test_planted_violation_is_found(name: str) -> None:
    make, rule, nodes = PLANTS[name]
    assert lint(make()) == {(rule, node) for node in nodes}


@pytest.mark.parametrize(
    "arithmetic",
    [
        lambda x: ops.mvn(x, last_axis(), True, 1e-6, "inside_sqrt"),
        lambda x: ops.normalize_l2(x, last_axis(), 1e-6, "add"),
        lambda x: ops.sqrt(ops.multiply(x, x)),
        lambda x: ops.multiply(x, ops.reduce_mean(ops.multiply(x, x), [-1], keep_dims=True)),
        lambda x: ops.divide(x, ops.sqrt(ops.constant(np.float32(8)))),
    ],
)
def test_arithmetic_that_is_no_norm_in_parts_is_left_alone(arithmetic: Callable[[Any], Any]) -> None:
    assert lint(build(Plan(more=arithmetic))) == set()


def test_every_rule_has_a_plant() -> None:
    assert {rule for _, rule, _ in PLANTS.values()} == {rule.name for rule in rules.NPU_RULES}


def test_scaled_weights_in_floating_point_are_no_matter() -> None:
    def mixed(x: Any) -> Any:
        scaled = ops.multiply(
            ops.constant(np.ones((3, 3), np.float32)), ops.constant(np.ones((1, 3), np.float32))
        )
        return ops.matmul(x, scaled, False, True)

    assert lint(build(Plan(more=mixed))) == set()


@pytest.mark.parametrize("end", [np.inf, np.nan])
def test_endless_range_is_found_for_every_device(end: float) -> None:
    model = build(Plan(pixels=(0.0, end)))
    assert lint(model, rules.RULES) == {("ranges", "pixels")}
    assert {rule for rule, _ in lint(model)} == {"ranges", "fp16-range"}


def test_rules_for_the_npu_alone_apply_to_no_other_device() -> None:
    assert {
        name for name, (_, rule, _) in PLANTS.items() if rule not in {each.name for each in rules.RULES}
    } == {
        *(each.__name__ for each in NORMS),
        "operation",
        "quarter",
        "division",
        "mask",
        "large",
    }
    assert lint(PLANTS["large"][0](), rules.RULES) == set()
