"""The search: recipes of rising cost in turn, until one passes the gate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from s2d_edge.calibrate.search.gate import Trial
from s2d_edge.core.errors import QuantizationError, UnfitGraphError


class Tried(Protocol):
    """A recipe that was tried."""

    @property
    def trial(self) -> Trial: ...


R = TypeVar("R")
T = TypeVar("T", bound=Tried)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[R, T]):
    """Recipes of one kind.

    Attributes:
        name: for the report.
        recipes: yields what to try next, given what was tried so far (a list that grows meanwhile). It may
            raise what an attempt may.
    """

    name: str
    recipes: Callable[[Sequence[T]], Iterable[R]]


def search(
    steps: Iterable[Step[R, T]],
    attempt: Callable[[str, R], T],
    reject: Callable[[str, str], T],
) -> list[T]:
    """Try recipes in turn until one passes, or passes but for its time, each recipe once.

    Args:
        attempt: quantizes by a recipe of a step, and measures.
        reject: records that a step, or one of its recipes, gave no graph, with the reason.

    Returns:
        Everything that was tried; if one passed, it is the last.

    Raises:
        QuantizationError, UnfitGraphError: not even the first recipe gives an INT8 graph.
    """
    tried: list[T] = []
    known: list[R] = []
    for step in steps:
        recipes = iter(step.recipes(tried))
        while True:
            try:
                recipe = next(recipes, None)
                if recipe is None:
                    break
                if recipe in known:
                    continue
                known.append(recipe)
                tried.append(attempt(step.name, recipe))
            except (QuantizationError, UnfitGraphError) as error:
                if not tried:
                    raise
                tried.append(reject(step.name, str(error)))
                continue
            if tried[-1].trial.passed or tried[-1].trial.too_slow:
                return tried
    return tried
