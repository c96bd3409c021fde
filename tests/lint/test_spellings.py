"""Norms in parts and infinities are found in every spelling, and inputs that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper

from tests.lint.graphs import Model, insert, int8_graph, node, rules_broken, store


class Maker:
    """Writes nodes before the LayerNormalization of a graph, and takes its place."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._count = 0

    def __call__(self, kind: str, *inputs: str, **attributes: Any) -> str:
        self._count += 1
        return insert(self._model, "norm", kind, f"part{self._count}", list(inputs), **attributes)

    def number(self, value: Any, dtype: type[np.generic] = np.float32) -> str:
        self._count += 1
        return store(self._model, f"number{self._count}", np.array(value, dtype))

    def attribute(self, **value: Any) -> str:
        """A constant as an attribute of a Constant node."""
        return self("Constant", **value)

    def last(self) -> str:
        return self.number([-1], np.int64)


def spelled(write: Callable[[Maker, str], str]) -> Model:
    model = int8_graph()
    made = write(Maker(model), "tokens.out")
    model.graph.node.remove(node(model, "norm"))
    node(model, "normed.q").input[0] = made
    return model


def centred(make: Maker, x: str) -> str:
    return make("Sub", x, make("ReduceMean", x, make.last()))


def root_of(make: Maker, x: str, variance: str) -> str:
    return make("Div", x, make("Sqrt", make("Add", variance, make.number(1e-6))))


def by_pow_of_an_attribute(make: Maker, x: str) -> str:
    x = centred(make, x)
    square = make("Pow", x, make.attribute(value_float=2.0))
    return root_of(make, x, make("ReduceMean", square, make.last()))


def by_pow_of_a_cast_integer(make: Maker, x: str) -> str:
    x = centred(make, x)
    two = make("Cast", make.number(2, np.int64), to=TensorProto.FLOAT)
    return root_of(make, x, make("ReduceMean", make("Pow", x, two), make.last()))


def with_casts(make: Maker, x: str) -> str:
    wide = make("Cast", centred(make, x), to=TensorProto.DOUBLE)
    square = make("Cast", make("Mul", wide, wide), to=TensorProto.FLOAT)
    mean = make("Cast", make("ReduceMean", square, make.last()), to=TensorProto.DOUBLE)
    root = make("Sqrt", make("Add", mean, make.number(1e-6, np.float64)))
    return make("Div", x, make("Cast", root, to=TensorProto.FLOAT))


def by_casts_of_each_factor(make: Maker, x: str) -> str:
    x = centred(make, x)
    one, other = (make("Cast", x, to=TensorProto.FLOAT) for _ in range(2))
    return root_of(make, x, make("ReduceMean", make("Mul", one, other), make.last()))


def by_maximum_of_epsilon(make: Maker, x: str) -> str:
    mean = make("ReduceMean", make("Mul", x, x), make.last())
    return make("Div", x, make("Sqrt", make("Max", mean, make.number(1e-6))))


def by_clip_to_epsilon(make: Maker, x: str) -> str:
    total = make("ReduceSum", make("Mul", x, x), make.last())
    return make("Div", x, make("Sqrt", make("Clip", total, make.number(1e-12))))


def by_power_of_a_half(make: Maker, x: str) -> str:
    mean = make("ReduceMean", make("Pow", x, make.number(2)), make.last())
    return make("Mul", x, make("Pow", make("Add", mean, make.number(1e-6)), make.number(-0.5)))


def by_reciprocal_root(make: Maker, x: str) -> str:
    mean = make("ReduceMean", make("Mul", x, x), make.last())
    return make("Mul", x, make("Reciprocal", make("Sqrt", mean)))


def by_sum_and_factor(make: Maker, x: str) -> str:
    total = make("ReduceSum", make("Mul", x, x), make.last())
    return root_of(make, x, make("Mul", total, make.number(1 / 8)))


def by_sum_and_division(make: Maker, x: str) -> str:
    total = make("ReduceSumSquare", x, make.last())
    return root_of(make, x, make("Div", total, make.number(8)))


def by_sum_of_squares(make: Maker, x: str) -> str:
    return make("Div", x, make("Sqrt", make("ReduceSumSquare", x, make.last())))


def by_mean_of_squares_less_squared_mean(make: Maker, x: str) -> str:
    mean = make("ReduceMean", x, make.last())
    squares = make("ReduceMean", make("Mul", x, x), make.last())
    return root_of(make, x, make("Sub", squares, make("Mul", mean, mean)))


def by_l2(make: Maker, x: str) -> str:
    return make("Div", x, make("ReduceL2", x, make.last()))


def by_l2_bounded_and_expanded(make: Maker, x: str) -> str:
    length = make("Clip", make("ReduceL2", x, make.last()), make.number(1e-12))
    return make("Div", x, make("Expand", length, make.number([1, 16, 8], np.int64)))


def by_l2_and_reciprocal(make: Maker, x: str) -> str:
    length = make("Max", make("ReduceL2", x, make.last()), make.attribute(value_float=1e-12))
    return make("Mul", x, make("Reciprocal", length))


def by_product_of_rows(make: Maker, x: str) -> str:
    return make("Div", x, make("Sqrt", make("Einsum", x, x, equation="bnd,bnd->bn")))


SPELLINGS = (
    by_pow_of_an_attribute,
    by_pow_of_a_cast_integer,
    with_casts,
    by_casts_of_each_factor,
    by_maximum_of_epsilon,
    by_clip_to_epsilon,
    by_power_of_a_half,
    by_reciprocal_root,
    by_sum_and_factor,
    by_sum_and_division,
    by_sum_of_squares,
    by_mean_of_squares_less_squared_mean,
    by_l2,
    by_l2_bounded_and_expanded,
    by_l2_and_reciprocal,
    by_product_of_rows,
)


@pytest.mark.parametrize("write", SPELLINGS, ids=lambda write: write.__name__)
def test_a_norm_in_parts_is_found(write: Callable[[Maker, str], str]) -> None:
    assert rules_broken(spelled(write)) - {"static-shapes"} == {"single-layer-norm"}


@pytest.mark.parametrize(
    "write",
    [
        lambda make, x: make("Add", x, make("ReduceL2", x, make.last())),  # a length as a feature
        lambda make, x: make("Div", x, make("Sqrt", make.number(8.0))),  # attention's scale
        lambda make, x: make(
            "Mul", x, make("ReduceMean", make("Mul", x, x), make.last())
        ),  # a mean of squares
        lambda make, x: make("Sqrt", make("Mul", x, x)),  # a magnitude
        lambda make, x: make("Div", x, make("Sqrt", make("ReduceMean", x, make.last()))),
        lambda make, x: make("Pow", x, make.number(3.0)),
    ],
)
def test_arithmetic_that_is_no_norm_is_left_alone(write: Callable[[Maker, str], str]) -> None:
    assert rules_broken(spelled(write)) <= {"static-shapes"}


def _cast(value: float, dtype: type[np.generic], to: int) -> Callable[[Maker], str]:
    return lambda make: make("Cast", make.number(value, dtype), to=to)


INFINITIES: dict[str, Callable[[Maker], str]] = {
    "stored": lambda make: make.number(-np.inf),
    "largest": lambda make: make.number(np.finfo(np.float32).min),
    "double": _cast(-np.inf, np.float64, TensorProto.FLOAT),
    "large double": _cast(-1e300, np.float64, TensorProto.FLOAT),
    "half": _cast(-np.inf, np.float16, TensorProto.FLOAT),
    "nan": lambda make: make.number(np.nan),
    "attribute": lambda make: make.attribute(value_float=-float("inf")),
    "attribute of several": lambda make: make.attribute(value_floats=[0.0, float("inf")] * 4),
    "attribute's tensor": lambda make: make.attribute(
        value=numpy_helper.from_array(np.array(-np.inf, np.float32))
    ),
    "filled": lambda make: make(
        "ConstantOfShape",
        make.number([16, 8], np.int64),
        value=numpy_helper.from_array(np.array([-np.inf], np.float32)),
    ),
    "large integer": _cast(70_000, np.int64, TensorProto.FLOAT),
    "negated": lambda make: make("Neg", make.attribute(value_float=float("inf"))),
    "divided": lambda make: make("Div", make.number(-1.0), make.number(0.0)),
    "logarithm": lambda make: make("Log", make.number(0.0)),
    "reciprocal": lambda make: make("Reciprocal", make.number(0.0)),
    "product": lambda make: make("Mul", make.number(-1e4), make.number(1e4)),
    "exponential": lambda make: make("Exp", make.number(100.0)),
    "where": lambda make: make(
        "Where", make.number([True, False] * 4, np.bool_), make.number(0.0), make.attribute(value_float=-1e9)
    ),
    "expanded": lambda make: make(
        "Expand", make.attribute(value_float=-float("inf")), make.number([16, 8], np.int64)
    ),
}


@pytest.mark.parametrize("name", INFINITIES)
def test_an_infinity_is_found_however_it_is_spelled(name: str) -> None:
    model = int8_graph()
    make = Maker(model)
    node(model, "norm").input[0] = make("Add", "tokens.out", INFINITIES[name](make))
    assert rules_broken(model) - {"static-shapes"} == {"fp16-range"}


def masked(make: Maker) -> str:
    positive = make("Greater", "tokens.out", make.number(0.0))
    return make("Where", positive, "tokens.out", make("Neg", make.attribute(value_float=float("inf"))))


def divided_by_nought(make: Maker) -> str:
    return make("Div", "tokens.out", make.number(0.0))


def endless_slope(make: Maker) -> str:
    return make("Elu", "tokens.out", alpha=float("inf"))


@pytest.mark.parametrize("write", [masked, divided_by_nought, endless_slope])
def test_an_infinity_that_the_graph_makes_while_it_runs_is_found(write: Callable[[Maker], str]) -> None:
    model = int8_graph()
    node(model, "norm").input[0] = write(Maker(model))
    assert rules_broken(model) == {"fp16-range"}


def test_constants_that_would_fill_the_memory_are_not_made() -> None:
    model = int8_graph()
    make = Maker(model)
    size, both = make.number([10**6, 10**6], np.int64), make.number([0, 1], np.int64)
    small = make("ReduceMax", make("Expand", make.number(0.5), size), both, keepdims=0)
    steps = [make.number(each, np.int64) for each in (0, 2**31, 1)]
    many = make("Cast", make("ReduceMax", make("Range", *steps), keepdims=0), to=TensorProto.FLOAT)
    node(model, "norm").input[0] = make("Add", make("Add", "tokens.out", small), many)
    assert "fp16-range" not in rules_broken(model)
