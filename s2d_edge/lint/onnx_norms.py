"""Find normalisations that an ONNX graph spells out, in the parts that exporters write them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx

from s2d_edge.lint.onnx_folding import Constants
from s2d_edge.lint.onnx_view import MOVES, OnnxGraph, name_of
from s2d_edge.lint.rules import Place

Use = Callable[[Constants, onnx.NodeProto, int], bool]  # of a value, by a node, as which of its inputs

_SUMS = ("ReduceMean", "ReduceSum", "AveragePool", "GlobalAveragePool")
_PRODUCTS = ("Einsum", "MatMul")  # of a value with itself: squares, summed
_SAME_VALUE = (MOVES - {"Gather", "Slice", "Split"}) | {"Cast", "Abs"}
# Between the sum of the squares and its root: types and shapes, another mean taken away, and with constants a
# factor or epsilon, added or as a bound.
_BETWEEN = MOVES | {"Cast", "Expand", "Tile", "Sub", "Where"}
_BETWEEN_WITH_CONSTANTS = ("Add", "Mul", "Div", "Max", "Min", "Clip")


def spelled_out_norms(graph: OnnxGraph) -> Iterator[Place]:
    """Find a sum or mean of squares and a root after it, or a division by a root of squares."""
    constants = Constants(graph)
    for node in graph.nodes:
        if node.op_type == "ReduceL2":
            if _reaches(graph, constants, node.output[0], _is_divisor):
                yield name_of(node), "ReduceL2 and a division spell out a normalisation"
            continue
        squared = node if node.op_type == "ReduceSumSquare" else _squared(graph, constants, node)
        if squared is not None and _reaches(graph, constants, node.output[0], _is_root):
            parts = dict.fromkeys((squared.op_type, node.op_type))
            yield name_of(squared), f"{', '.join(parts)} and a root spell out a normalisation"


def _squared(graph: OnnxGraph, constants: Constants, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """Return the node that squares what ``node`` sums; None if it sums no squares."""
    if node.op_type in _PRODUCTS:
        return node if _is_product_with_itself(graph, node) else None
    if node.op_type not in _SUMS:
        return None
    square = graph.producer(_source(graph, node.input[0]))
    if square is None or square.op_type not in ("Pow", "Mul"):
        return None
    if square.op_type == "Mul":
        return square if _is_product_with_itself(graph, square) else None
    power = constants[square.input[1]]
    return square if power is not None and power.size and bool((power == 2).all()) else None


def _is_product_with_itself(graph: OnnxGraph, node: onnx.NodeProto) -> bool:
    return len(node.input) == 2 and len({_source(graph, name) for name in node.input}) == 1


def _source(graph: OnnxGraph, name: str) -> str:
    """Return the value that a value is, before nodes that move it, change its type or take its magnitude."""
    node = graph.producer(name)
    while node is not None and node.op_type in _SAME_VALUE:
        name = node.input[0]
        node = graph.producer(name)
    return name


def _is_root(constants: Constants, node: onnx.NodeProto, index: int) -> bool:
    if node.op_type == "Sqrt":
        return True
    power = constants[node.input[1]] if node.op_type == "Pow" and index == 0 else None
    return power is not None and bool((power != np.round(power)).any())


def _is_divisor(constants: Constants, node: onnx.NodeProto, index: int) -> bool:
    if node.op_type in ("Div", "Reciprocal"):
        return node.op_type == "Reciprocal" or index == 1
    power = constants[node.input[1]] if node.op_type == "Pow" and index == 0 else None
    return power is not None and bool((power < 0).any())


def _reaches(graph: OnnxGraph, constants: Constants, name: str, wanted: Use) -> bool:
    """Return whether a value is used so, itself or after operations that only scale, shift or bound it."""
    frontier, seen = [name], {name}
    while frontier:
        current = frontier.pop()
        for node, index in graph.readers(current):
            if wanted(constants, node, index):
                return True
            others = {each for each in node.input if each and each != current}
            if node.op_type in _BETWEEN or (
                node.op_type in _BETWEEN_WITH_CONSTANTS and graph.constants.issuperset(others)
            ):
                frontier += set(node.output) - seen
                seen.update(node.output)
    return False
