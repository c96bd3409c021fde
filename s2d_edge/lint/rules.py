"""A rule of a target, and a violation of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Graph = TypeVar("Graph")
Place = tuple[str, str]  # a node, and what it holds against a rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[Graph]):
    """A demand of a target on a graph.

    Attributes:
        name: short, for people to look up in ``docs/targets.md``.
        wants: the demand, as the end of a sentence.
        why: the reason, such as what the target does otherwise.
        source: the address of the documentation, or of the issue that showed it.
        find: yields every place that breaks the rule.
        warns: breaking it is a warning, not an error.
    """

    name: str
    wants: str
    why: str
    source: str
    find: Callable[[Graph], Iterable[Place]]
    warns: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A place in a graph that breaks a rule.

    Attributes:
        rule: its name.
        wants, source, warns: as the rule says.
        node: the node's name in the graph.
        found: what breaks the rule.
    """

    rule: str
    wants: str
    source: str
    warns: bool
    node: str
    found: str

    @property
    def sentence(self) -> str:
        """The violation in words, without a full stop."""
        return f"{self.node}: {self.found}, where {self.wants} (rule {self.rule}, {self.source})"


def broken(rule: Rule[Graph], graph: Graph) -> list[Violation]:
    """Return every place of ``graph`` that breaks ``rule``."""
    return [
        Violation(
            rule=rule.name, wants=rule.wants, source=rule.source, warns=rule.warns, node=node, found=found
        )
        for node, found in rule.find(graph)
    ]


def words(text: str) -> frozenset[str]:
    """Return the words of a text, for lists of many names."""
    return frozenset(text.split())


def beyond_half(value: NDArray[Any]) -> float | None:
    """Return a number of a constant that FP16 cannot hold; None if it holds all."""
    wrong = value[~(np.abs(value) <= np.finfo(np.float16).max)]
    return float(wrong.ravel()[0]) if wrong.size else None
