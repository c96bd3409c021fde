"""Linear warm-up, then cosine decay, as a function of the step alone."""

from __future__ import annotations

import math


def learning_rate(step: int, *, total: int, warmup: int, peak: float, final: float) -> float:
    """Learning rate of step ``step``.

    Args:
        step: 0 for the first.
        total: steps of the whole training.
        warmup: steps over which the rate rises to ``peak``.
        peak: highest rate.
        final: rate reached at the end.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    done = min((step - warmup) / max(total - warmup, 1), 1.0)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * done))
