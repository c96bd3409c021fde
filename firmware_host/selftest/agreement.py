"""Compare two devices' logits of the same clips, with limits for differences that rounding explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# "int8 and more": INT8, except where the device takes more bits.
Arithmetic = Literal["fp32", "16-bit", "int8", "int8 and more"]

_LEAST_SPREAD = 1e-3  # logits; a smaller spread is taken for this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest differences that rounding explains.

    Attributes:
        rms: of the differences, as a share of the spread.
        largest: difference, as a share of the spread.
        correlation: the least, between the variations of the logits from clip to clip.
    """

    rms: float
    largest: float
    correlation: float


# Shares of the spread. FP32 of two runtimes differs by 1e-7 on the demo's models. BF16, which rounds eight
# times as coarsely as FP16 and TF32 do, differs from FP32 by 0.3 % RMS and 1.6 % at most; at base size by
# 0.8 % and 1.8 %, with wildly random weights by 2.2 % and 5.6 %. Two CPU runtimes on one INT8 graph differ by
# 0.2 % and 0.9 %. A device that takes more than 8 bits is no less right: it lies between INT8 and FP32,
# which are 8 % and 23 % apart.
#
# The wider the limits, the more escapes them. Of the demo's 154 weight tensors, each set to zero in turn, 146
# were caught at FP32's limits (three of the others are biases that no logit depends on), 107 at 16 bits', 73
# at the last ones: those find a device that computes nonsense, not one that lost a small bias.
LIMITS: dict[Arithmetic, Limits] = {
    "fp32": Limits(rms=0.001, largest=0.005, correlation=0.9999),
    "16-bit": Limits(rms=0.03, largest=0.1, correlation=0.99),
    "int8": Limits(rms=0.03, largest=0.1, correlation=0.99),
    "int8 and more": Limits(rms=0.1, largest=0.4, correlation=0.95),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Figures of a device's logits against the reference logits.

    Attributes:
        answers: how many logits, (K,) each, were compared.
        top_agreement: share with the same predicted label. It has no limit: while the largest difference is
            small, only a prediction whose two best classes are as close can change.
        spread: RMS distance of the reference logits from their mean.
        rms: of the differences, as a share of the spread.
        largest: difference, as a share of the spread.
        variation: RMS variation of the reference logits from clip to clip, as a share of the spread.
        correlation: between these variations and the device's; 0 if the device's logits do not vary.
    """

    answers: int
    top_agreement: float
    spread: float
    rms: float
    largest: float
    variation: float
    correlation: float


def compare(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> Agreement:
    """Compare two sets of logits, (n, K) each."""
    apart = np.abs(found.astype(np.float64) - wanted)
    spread = max(float(wanted.std()), _LEAST_SPREAD)
    varies, varied = (logits - logits.mean(axis=0, dtype=np.float64) for logits in (wanted, found))
    size = float(np.linalg.norm(varies) * np.linalg.norm(varied))
    return Agreement(
        answers=len(wanted),
        top_agreement=float((wanted.argmax(axis=1) == found.argmax(axis=1)).mean()),
        spread=spread,
        rms=float(np.sqrt((apart**2).mean())) / spread,
        largest=float(apart.max()) / spread,
        variation=float(np.sqrt((varies**2).mean())) / spread,
        correlation=min(float((varies * varied).sum()) / size, 1.0) if size > 0 else 0.0,
    )


def faults(agreement: Agreement, limits: Limits) -> tuple[str, ...]:
    """Return a phrase for each figure beyond its limit; empty if the device passes."""
    found = []
    if agreement.rms > limits.rms:
        found.append(f"logits differ by {agreement.rms:.2%} of their spread (RMS; {limits.rms:.2%} allowed)")
    if agreement.largest > limits.largest:
        found.append(f"one differs by {agreement.largest:.2%} ({limits.largest:.2%} allowed)")
    # Where the reference logits vary less than rounding does, the correlation means nothing.
    if agreement.variation > limits.rms and agreement.correlation < limits.correlation:
        found.append(
            f"they vary from clip to clip unlike the right ones (correlation {agreement.correlation:.3f}, "
            f"{limits.correlation} wanted)"
        )
    return tuple(found)
