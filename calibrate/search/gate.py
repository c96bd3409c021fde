"""The gate: what INT8 may lose on the validation clips, and the record of the recipes measured against it.

A validation split decides. The test split has no part in it, so that its one measurement, at the end, is not
the luckiest of many tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf

import numpy as np

from s2d_edge.calibrate.measure.drop import Drop
from s2d_edge.calibrate.search.tuning import TuningRecord
from s2d_edge.core.errors import ConfigError

MIN_AGREEMENT_PERCENT = 97.0
NO_CHANGE = "none"
_ANY_DROP_PP = 100.0
# A split is too small to decide where even full agreement of its clips leaves more than the share that may
# differ, with 95 % confidence (rule of three). These are the fewest and the most clips that are asked for.
_FEWEST_CLIPS, _MOST_CLIPS = 30, 300
_COARSEST_PP = 3.0  # of UAR that one clip of the rarest class may move
_ROUNDING_PP = 1e-9  # rates are quotients; a drop of exactly the limit passes


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """Limits that the user sets.

    Attributes:
        max_drop_pp: largest drop of WAR and UAR, percentage points.
        min_agreement: smallest share of the clips on which INT8 and FP32 agree.
        min_speedup: smallest median time of FP32 over INT8's, in the same runtime; 0 for any.
    """

    max_drop_pp: float
    min_agreement: float
    min_speedup: float = 0.0


def gate_limits(
    max_drop_pp: float, min_agreement_percent: float | None, min_speedup: float | None = None
) -> GateLimits | None:
    """Check the limits; None where any drop and any time passes, so that there is no gate.

    Args:
        max_drop_pp: percentage points, 0 or more; ``inf`` for any drop.
        min_agreement_percent: None is :data:`MIN_AGREEMENT_PERCENT`.
        min_speedup: how many times as fast as FP32 INT8 must be, in the same runtime; None for any.

    Raises:
        ConfigError: a limit is out of range, or does not fit the other.
    """
    if not max_drop_pp >= 0:
        raise ConfigError(
            f"--max-drop {max_drop_pp}: give percentage points, 0 or more, or inf for any drop; "
            "'--max-drop 0 --min-agreement 100' is the strictest"
        )
    if min_speedup is not None and not 0 < min_speedup < inf:
        raise ConfigError(f"--min-speedup {min_speedup}: give how many times as fast as FP32, such as 1.2")
    if min_agreement_percent is not None and not 0 <= min_agreement_percent <= 100:
        raise ConfigError(f"--min-agreement {min_agreement_percent}: give 0 to 100 percent")
    if max_drop_pp < inf:
        percent = MIN_AGREEMENT_PERCENT if min_agreement_percent is None else min_agreement_percent
        return GateLimits(
            max_drop_pp=max_drop_pp, min_agreement=percent / 100, min_speedup=min_speedup or 0.0
        )
    if min_agreement_percent is not None:
        raise ConfigError(
            f"--max-drop inf takes the first recipe, so --min-agreement {min_agreement_percent:g} has no "
            "effect; leave out one"
        )
    if min_speedup is not None:
        return GateLimits(max_drop_pp=_ANY_DROP_PP, min_agreement=0.0, min_speedup=min_speedup)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Largest losses that pass on a split.

    Attributes:
        war_pp: of WAR, percentage points.
        uar_pp: of UAR; at least one clip of the rarest class, the smallest change that a split can show.
        granularity_pp: one clip of the rarest class, in points of UAR.
        rarest: index of that class.
        agreement: smallest share of clips on which INT8 and FP32 agree.
    """

    war_pp: float
    uar_pp: float
    granularity_pp: float
    rarest: int
    agreement: float = 0.0

    def margin_pp(self, war_drop_pp: float, uar_drop_pp: float, agreement: float) -> float:
        """Return the points left of WAR, UAR or agreement, the fewest; negative where one fails."""
        return _margin_pp((self.war_pp, self.uar_pp, self.agreement), (war_drop_pp, uar_drop_pp, agreement))

    def allows(self, war_drop_pp: float, uar_drop_pp: float, agreement: float) -> bool:
        """Return True if both drops and the agreement pass."""
        return self.margin_pp(war_drop_pp, uar_drop_pp, agreement) >= -_ROUNDING_PP


def _margin_pp(limits: tuple[float, float, float], found: tuple[float, float, float]) -> float:
    """Return the fewest points left; both hold drops of WAR and UAR in points, then agreement as a share."""
    return min(limits[0] - found[0], limits[1] - found[1], 100 * (found[2] - limits[2]))


def allowance(supports: Sequence[int], limits: GateLimits) -> Allowance:
    """Return the largest losses that pass on a split.

    Args:
        supports: clips of each class; classes without clips do not count.
    """
    counts = np.array(supports)
    present = np.flatnonzero(counts)
    rarest = int(present[counts[present].argmin()])
    granularity = 100 / (counts[rarest] * len(present))
    return Allowance(
        war_pp=limits.max_drop_pp,
        uar_pp=max(limits.max_drop_pp, float(granularity)),
        granularity_pp=float(granularity),
        rarest=rarest,
        agreement=limits.min_agreement,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One recipe that was tried.

    Attributes:
        step: the step it belongs to.
        change: difference from the target's own recipe; :data:`NO_CHANGE`, or empty where the step gave no
            recipe.
        passed: it passes the gate; it is the last one then, and chosen.
        drop: on the validation clips; None where no graph was measured.
        int8_mac_fraction: share of the linear and convolution MACs that are INT8.
        times_fp32: median time of a prediction as a share of FP32's, in turn in the same run.
        outcome: reason why it was chosen or rejected, for people.
        tuning: record of its fine-tuning; None where the weights are those of the FP32 bundle.
        too_slow: it passes the gate but for its time; no recipe tried after it would be faster.
    """

    step: str
    change: str
    passed: bool
    drop: Drop | None = None
    int8_mac_fraction: float | None = None
    times_fp32: float | None = None
    outcome: str
    tuning: TuningRecord | None = None
    too_slow: bool = False

    def __post_init__(self) -> None:
        if self.drop is not None and (self.int8_mac_fraction is None or self.times_fp32 is None):
            raise ValueError(f"the trial {self.step!r} has a drop, and lacks its time or its share of INT8")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """Limits of the gate, its clips, and every recipe that was tried.

    Attributes:
        max_drop_pp: largest drop that passes, as requested.
        uar_allowed_pp: the larger of that and one clip of the rarest class.
        granularity_pp: one clip of that class, in points of UAR.
        rarest_class: its label.
        min_agreement: smallest share of clips on which INT8 and FP32 agree; 0 in older reports.
        split: of the validation clips.
        carved_from: the split they were taken from, where the data has no validation split of its own.
        n: number of validation clips.
        trials: in the order they were tried.
        min_speedup: smallest median time of FP32 over INT8's that passes; 0 for any, and in older reports.
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
    min_speedup: float = 0.0

    def __post_init__(self) -> None:
        if not any(trial.drop is not None for trial in self.trials):
            raise ValueError(f"none of the gate's {len(self.trials)} trials was measured")

    @property
    def passed(self) -> bool:
        """True if the last trial passes."""
        return self.trials[-1].passed

    @property
    def limits_accuracy(self) -> bool:
        """False where any drop and any agreement passes, and INT8's time alone decides."""
        return self.max_drop_pp < _ANY_DROP_PP or self.min_agreement > 0

    @property
    def clips_needed(self) -> int:
        """Number of validation clips below which a pass decides nothing; 0 where time alone decides."""
        if not self.limits_accuracy:
            return 0
        share = max(1 - self.min_agreement, 3 / _MOST_CLIPS)
        return max(ceil(3 / share - 1e-9), _FEWEST_CLIPS)

    @property
    def is_decisive(self) -> bool:
        """False where the validation clips are too few, in all or of one class, for a pass to mean much."""
        coarsest = max(_COARSEST_PP, self.max_drop_pp)
        return self.n >= self.clips_needed and self.granularity_pp <= coarsest

    @property
    def best(self) -> Trial:
        """The chosen trial, or the one nearest to passing."""
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
