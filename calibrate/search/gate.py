"""The gate: recipes of rising cost are tried in turn until INT8 answers nearly as well, and as, FP32 does.

A validation split decides. The test split has no part in it, so that what is measured there, once and at the
end, is not the luckiest of many tries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from s2d_edge.calibrate.measure.drop import Drop
from s2d_edge.calibrate.search.tuning import TuningRecord
from s2d_edge.core.errors import QuantizationError, UnfitGraphError

NO_CHANGE = "none"
_ROUNDING_PP = 1e-9  # rates are quotients; a drop of exactly what is allowed is allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What may be lost on a split.

    Attributes:
        war_pp: of WAR, percentage points.
        uar_pp: of UAR; not less than one clip of the rarest class, below which a split cannot tell.
        granularity_pp: what one clip of the rarest class is of UAR.
        rarest: index of that class.
        agreement: the least share of clips to be answered as FP32 does.
    """

    war_pp: float
    uar_pp: float
    granularity_pp: float
    rarest: int
    agreement: float = 0.0

    def margin_pp(self, war_drop_pp: float, uar_drop_pp: float, agreement: float) -> float:
        """How many points are left of WAR, UAR or agreement, the fewest; negative where too many are lost."""
        return _margin_pp((self.war_pp, self.uar_pp, self.agreement), (war_drop_pp, uar_drop_pp, agreement))

    def allows(self, war_drop_pp: float, uar_drop_pp: float, agreement: float) -> bool:
        """Whether neither drop is larger than it may be, and enough clips are answered alike."""
        return self.margin_pp(war_drop_pp, uar_drop_pp, agreement) >= -_ROUNDING_PP


def _margin_pp(limits: tuple[float, float, float], found: tuple[float, float, float]) -> float:
    """The fewest points left; both are drops of WAR and UAR in points, then agreement as a share."""
    return min(limits[0] - found[0], limits[1] - found[1], 100 * (found[2] - limits[2]))


def allowance(supports: Sequence[int], max_drop_pp: float, min_agreement: float = 0.0) -> Allowance:
    """What may be lost on a split with so many clips of each class; classes without clips do not count.

    Args:
        max_drop_pp: of WAR and UAR, percentage points.
        min_agreement: share of the clips.
    """
    counts = np.array(supports)
    present = np.flatnonzero(counts)
    rarest = int(present[counts[present].argmin()])
    granularity = 100 / (counts[rarest] * len(present))
    return Allowance(
        war_pp=max_drop_pp,
        uar_pp=max(max_drop_pp, float(granularity)),
        granularity_pp=float(granularity),
        rarest=rarest,
        agreement=min_agreement,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One recipe, tried.

    Attributes:
        step: the step it belongs to.
        change: in what it differs from the target's own recipe; :data:`NO_CHANGE`, or empty where the step
            gave none.
        passed: whether it loses no more than allowed, and answers enough clips alike; the last one then, and
            chosen.
        drop: on the validation clips; None where no graph was measured.
        int8_mac_fraction: share of the linear and convolution MACs.
        times_fp32: median time of an answer as a share of FP32's, in turn in this same run.
        outcome: why it was chosen or passed over, for people.
        tuning: how its weights were fine-tuned; None where they are those of the FP32 bundle.
    """

    step: str
    change: str
    passed: bool
    drop: Drop | None = None
    int8_mac_fraction: float | None = None
    times_fp32: float | None = None
    outcome: str
    tuning: TuningRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What the gate did.

    Attributes:
        max_drop_pp: what was asked for.
        uar_allowed_pp: the larger of that and one clip of the rarest class.
        granularity_pp: one clip of that class, in points of UAR.
        rarest_class: its label.
        min_agreement: the share of clips to be answered alike; in reports of before, none.
        split: of the validation clips.
        carved_from: the split that lent them, where the data has no validation split of its own.
        n: validation clips.
        trials: in turn.
    """

    max_drop_pp: float
    uar_allowed_pp: float
    granularity_pp: float
    rarest_class: str
    split: str
    carved_from: str | None
    n: int
    trials: tuple[Trial, ...]
    min_agreement: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the last trial is good enough."""
        return self.trials[-1].passed

    @property
    def best(self) -> Trial:
        """The trial that comes nearest to being allowed, or is; the one chosen if there is one."""
        measured = [(trial, trial.drop) for trial in self.trials if trial.drop is not None]
        limits = (self.max_drop_pp, self.uar_allowed_pp, self.min_agreement)
        return max(
            measured,
            key=lambda one: (
                one[0].passed,
                _margin_pp(limits, (one[1].war_pp, one[1].uar_pp, one[1].agreement)),
                -one[1].rms_logit_diff,
            ),
        )[0]


class Tried(Protocol):
    """What a trial leaves behind."""

    @property
    def trial(self) -> Trial: ...


R = TypeVar("R")
T = TypeVar("T", bound=Tried)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[R, T]):
    """Recipes of one kind.

    Attributes:
        name: for the report.
        recipes: given what was tried so far (a list that grows while it is gone through), what to try next.
            It may raise what an attempt may.
    """

    name: str
    recipes: Callable[[Sequence[T]], Iterable[R]]


def search(
    steps: Iterable[Step[R, T]],
    attempt: Callable[[str, R], T],
    refuse: Callable[[str, str], T],
) -> list[T]:
    """Try recipes in turn until one passes, each recipe once.

    Args:
        attempt: quantize by a recipe of a step, and measure.
        refuse: what is left of a step, or of one of its recipes, that gave no graph, and why.

    Returns:
        All that was tried; if any passed, it is the last.

    Raises:
        QuantizationError, UnfitGraphError: the very first recipe gives no graph that may be called INT8; no
            other would.
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
                tried.append(refuse(step.name, str(error)))
                continue
            if tried[-1].trial.passed:
                return tried
    return tried
