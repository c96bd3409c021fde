"""Rates: counted over the last seconds only."""

from __future__ import annotations

import pytest

from s2d_edge.firmware_host.pipeline.stats import Rate


def test_rate_forgets() -> None:
    rate = Rate(over_s=2.0)
    assert rate.per_second(0.0) == 0.0
    for tick in range(21):
        rate.tick(tick / 10)
    assert rate.per_second(2.0) == pytest.approx(10.0, rel=0.06)
    assert rate.per_second(10.0) == 0.0
