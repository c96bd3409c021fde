"""The demo's summary of INT8's speed, on invented times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from s2d_edge.verbs import demo_steps
from tests.calibrate.reports import report_of

TRUTH = np.tile([0, 1, 2], 10)


def timings(int8_ms: float) -> dict[str, Any]:
    def model(name: str, ms: float, ratio: float | None) -> dict[str, Any]:
        return {"name": name, "p50_ms": ms, "times_as_fast_as_fp32": ratio, "speedup": 116.0 / ms}

    return {"models": [model("b", 11.2, None), model("b-int8", int8_ms, 11.2 / int8_ms)]}


def test_a_faster_int8_is_told_beside_fp32_first() -> None:
    text, bundle = demo_steps.speed_text(report_of(TRUTH, TRUTH, TRUTH), timings(5.6))
    assert bundle == "b-int8"
    assert text.index("2.00 times as fast") < text.index("PyTorch")
    assert "not faster" not in text


@pytest.mark.parametrize("hindrance", ["", "the processor has no VNNI"])
def test_a_slower_int8_is_told_with_the_reason_and_fp32_is_run(
    monkeypatch: pytest.MonkeyPatch, hindrance: str
) -> None:
    monkeypatch.setattr(demo_steps, "int8_hindrance", lambda: hindrance)
    text, bundle = demo_steps.speed_text(report_of(TRUTH, TRUTH, TRUTH), timings(14.5))
    assert bundle == "b"
    for part in ("14.5 ms", "11.2 ms", "0.77 times as fast", "INT8 is not faster", hindrance):
        assert part in text
    assert text.index("not faster") < text.index("PyTorch")
