"""Find normalisations that a graph spells out, in the parts that exporters write them in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.lint.rules import Place, words

# Operations that only move numbers.
MOVES = words("Reshape Transpose Squeeze Unsqueeze Flatten Slice Gather Split Identity")


@dataclass(frozen=True, slots=True)
class Part:
    """One operation of a graph.

    Attributes:
        name: for people.
        kind: as ONNX calls it.
        inputs, outputs: names of its values.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Parts:
    """The operations of a graph of either format, with the producer and readers of every value."""

    def __init__(
        self, parts: Sequence[Part], constants: Set[str], value_of: Callable[[str], NDArray[Any] | None]
    ) -> None:
        """Resolve the names.

        Args:
            parts: in topological order.
            constants: names of the values that depend on no input of the graph.
            value_of: gives a small constant's value, or None.
        """
        self.parts = parts
        self.constants = constants
        self.value_of = value_of
        self._producers = {name: part for part in parts for name in part.outputs}
        self._readers: dict[str, list[tuple[Part, int]]] = defaultdict(list)
        for part in parts:
            for index, name in enumerate(part.inputs):
                self._readers[name].append((part, index))

    def producer(self, name: str) -> Part | None:
        """Return the operation that makes a value; None for inputs and stored constants."""
        return self._producers.get(name)

    def readers(self, name: str) -> list[tuple[Part, int]]:
        """Return the operations that read a value, each with the index of its input."""
        return self._readers.get(name, [])


Use = Callable[[Parts, Part, int], bool]  # of a value, by an operation, as which of its inputs

_SUMS = ("ReduceMean", "ReduceSum", "AveragePool", "GlobalAveragePool")
_PRODUCTS = ("Einsum", "MatMul")  # of a value with itself: squares, summed
_SAME_VALUE = (MOVES - {"Gather", "Slice", "Split"}) | {"Cast", "Abs"}
# Between the sum of the squares and its root: types and shapes, another mean taken away, and with constants a
# factor or epsilon, added or as a bound.
_BETWEEN = MOVES | {"Cast", "Expand", "Tile", "Sub", "Where"}
_BETWEEN_WITH_CONSTANTS = ("Add", "Mul", "Div", "Max", "Min", "Clip")


def spelled_out_norms(graph: Parts) -> Iterator[Place]:
    """Find a sum or mean of squares and a root after it, or a division by a root of squares."""
    for part in graph.parts:
        if part.kind == "ReduceL2":
            if _reaches(graph, part.outputs[0], _is_divisor):
                yield part.name, "ReduceL2 and a division spell out a normalisation"
            continue
        squared = part if part.kind == "ReduceSumSquare" else _squared(graph, part)
        if squared is not None and _reaches(graph, part.outputs[0], _is_root):
            kinds = dict.fromkeys((squared.kind, part.kind))
            yield squared.name, f"{', '.join(kinds)} and a root spell out a normalisation"


def _squared(graph: Parts, part: Part) -> Part | None:
    """Return the operation that squares what ``part`` sums; None if it sums no squares."""
    if part.kind in _PRODUCTS:
        return part if _is_product_with_itself(graph, part) else None
    if part.kind not in _SUMS:
        return None
    square = graph.producer(_source(graph, part.inputs[0]))
    if square is None or square.kind == "SquaredDifference":
        return square
    if square.kind == "Mul":
        return square if _is_product_with_itself(graph, square) else None
    power = graph.value_of(square.inputs[1]) if square.kind == "Pow" else None
    return square if power is not None and power.size and bool((power == 2).all()) else None


def _is_product_with_itself(graph: Parts, part: Part) -> bool:
    return len(part.inputs) == 2 and len({_source(graph, name) for name in part.inputs}) == 1


def _source(graph: Parts, name: str) -> str:
    """Return the value that a value is, before operations that move it, change its type or its sign."""
    part = graph.producer(name)
    while part is not None and part.kind in _SAME_VALUE:
        name = part.inputs[0]
        part = graph.producer(name)
    return name


def _is_root(graph: Parts, part: Part, index: int) -> bool:
    if part.kind == "Sqrt":
        return True
    power = graph.value_of(part.inputs[1]) if part.kind == "Pow" and index == 0 else None
    return power is not None and bool((power != np.round(power)).any())


def _is_divisor(graph: Parts, part: Part, index: int) -> bool:
    if part.kind in ("Div", "Reciprocal"):
        return part.kind == "Reciprocal" or index == 1
    power = graph.value_of(part.inputs[1]) if part.kind == "Pow" and index == 0 else None
    return power is not None and bool((power < 0).any())


def _reaches(graph: Parts, name: str, wanted: Use) -> bool:
    """Return whether a value is used so, itself or after operations that only scale, shift or bound it."""
    frontier, seen = [name], {name}
    while frontier:
        current = frontier.pop()
        for part, index in graph.readers(current):
            if wanted(graph, part, index):
                return True
            others = {each for each in part.inputs if each and each != current}
            if part.kind in _BETWEEN or (part.kind in _BETWEEN_WITH_CONSTANTS and graph.constants >= others):
                frontier += set(part.outputs) - seen
                seen.update(part.outputs)
    return False
