"""A plan of a training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from s2d_edge.train.plan.plan import Plan
from s2d_edge.train.plan.settings import TrainSettings

_USUAL = Plan(
    data=("avatars",),
    model="demo",
    stages=("image",),
    frames=8,
    temporal="bidirectional",
    teachers=(),
    fps=4.0,
    settings=TrainSettings(),
)


def make_plan(**changes: Any) -> Plan:
    """An image stage on avatars, but for ``changes``."""
    return replace(_USUAL, **changes)
