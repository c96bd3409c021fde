"""Comparison of two machines' predictions: tolerances, faults, and inputs that cannot be compared."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.aarch64 import compare as script
from tools.aarch64.compare import IncomparableError, compare

LABELS = ("happy", "sad", "neutral")


def predictions(*logits: tuple[float, ...]) -> dict[str, Any]:
    """The document that ``predict --json`` writes, a clip for each row of logits."""
    results = []
    for number, row in enumerate(logits):
        best = max(range(len(row)), key=row.__getitem__)
        results.append(
            {
                "path": f"clip{number}",
                "label": LABELS[best],
                "probabilities": dict.fromkeys(LABELS[: len(row)], 1 / 3),
                "logits": list(row),
            }
        )
    return {"results": results}


def test_small_differences_pass_and_are_reported() -> None:
    found = compare(
        predictions((2.0, 0.0, 1.0), (0.0, 3.0, 0.0)), predictions((2.04, 0.0, 1.0), (0.0, 2.99, 0.0))
    )
    assert found.faults == []
    assert found.difference == pytest.approx(0.04)
    assert found.clips[0].margin == pytest.approx(1.0)
    assert found.spread == pytest.approx(math.sqrt((2 / 3 + 2) / 2))
    assert "2 clips, 2 different labels: 2 labels equal" in found.lines()[-1]


def test_a_difference_over_the_tolerance_is_a_fault_though_labels_agree() -> None:
    found = compare(predictions((2.0, 0.0, 1.0)), predictions((2.0, 0.06, 1.0)))
    assert found.faults == ["clip0: logits differ by 0.06, over 0.05"]
    assert compare(predictions((2.0, 0.0, 1.0)), predictions((2.0, 0.06, 1.0)), tolerance=0.1).faults == []


def test_another_label_is_a_fault_though_logits_are_close() -> None:
    found = compare(predictions((1.0, 1.01, 0.0)), predictions((1.0, 0.99, 0.0)))
    assert found.faults == ["clip0: sad became happy"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_finite_never_agree(bad: float) -> None:
    good, other = predictions((2.0, 0.0, 1.0)), predictions((2.0, 0.0, 1.0))
    other["results"][0]["logits"][1] = bad
    assert compare(good, other).faults
    assert compare(other, other).faults


def test_files_of_other_clips_or_classes_are_rejected() -> None:
    one = predictions((2.0, 0.0, 1.0))
    with pytest.raises(IncomparableError):
        compare(predictions(), predictions())
    with pytest.raises(IncomparableError, match="1 and 2 clips"):
        compare(one, predictions((2.0, 0.0, 1.0), (2.0, 0.0, 1.0)))
    with pytest.raises(IncomparableError):
        compare(one, predictions((2.0, 0.0)))


def test_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, row in (("a", (2.0, 0.0, 1.0)), ("b", (2.0, 0.0, 1.5))):
        (tmp_path / name).write_text(json.dumps(predictions(row)), "utf-8")
    monkeypatch.setattr(sys, "argv", ["compare", str(tmp_path / "a"), str(tmp_path / "a")])
    assert script.main() == 0
    monkeypatch.setattr(sys, "argv", ["compare", str(tmp_path / "a"), str(tmp_path / "b")])
    assert script.main() == 1
    assert "error: clip0: logits differ by 0.5, over 0.05" in capsys.readouterr().err
