"""Results: smoothed over time, and as lines of JSON."""

from __future__ import annotations

import json

import numpy as np

from s2d_edge.firmware_host.pipeline.per_face import Smoother
from tests.firmware_host.stand_ins import RESULT


def test_smoothing_goes_by_time() -> None:
    one, other = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    smoother = Smoother(2.0)
    np.testing.assert_array_equal(smoother.update(0.0, one), one)
    np.testing.assert_allclose(smoother.update(2.0, other), [np.exp(-1), 1 - np.exp(-1)], rtol=1e-6)
    fine = Smoother(2.0)
    fine.update(0.0, one)
    for t_s in (0.5, 1.0, 1.5, 2.0):
        steps = fine.update(t_s, other)
    np.testing.assert_allclose(steps, [np.exp(-1), 1 - np.exp(-1)], rtol=1e-5)  # independent of the rate
    smoother.reset()
    np.testing.assert_array_equal(smoother.update(9.0, one), one)
    raw = Smoother(0)
    raw.update(0.0, one)
    np.testing.assert_array_equal(raw.update(0.1, other), other)


def test_json_line_has_the_agreed_fields() -> None:
    line_ = RESULT.to_json()
    assert "\n" not in line_
    assert json.loads(line_) == {
        "t_s": 1.5,
        "frame": 30,
        "face": [1, 2, 30, 40],
        "track": 2,
        "label": "sad",
        "probabilities": {"happy": 0.25, "sad": 0.75},
        "logits": [0.0, 1.1],
        "latency_ms": 12.5,
        "infer_ms": 7.0,
        "dropped": 3,
        "dropped_clips": 1,
    }
