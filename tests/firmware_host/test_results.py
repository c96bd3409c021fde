"""Results: smoothed over time, and written as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io.results import JsonLines
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


def test_json_lines_are_whole_or_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "out.jsonl"
    with JsonLines(str(path)) as lines:
        lines.write(RESULT)
        assert not path.exists()
    assert len(path.read_text().splitlines()) == 1
    with pytest.raises(ZeroDivisionError), JsonLines(str(path)) as lines:
        lines.write([RESULT][1 // 0])
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.jsonl"]
    assert len(path.read_text().splitlines()) == 1
    with JsonLines("-") as lines:
        lines.write(RESULT)
    assert json.loads(capsys.readouterr().out)["label"] == "sad"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_under_json_is_one_clear_error() -> None:
    with pytest.raises(MediaError, match="/dev/full"), JsonLines("/dev/full") as lines:
        lines.write(RESULT)
