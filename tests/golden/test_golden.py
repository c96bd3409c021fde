"""The starters on two recorded clips: decoding, face, crop and graph together still predict as recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2d_edge.firmware_host.selftest.agreement import LIMITS, compare, faults
from tools.golden import CLIPS, EXPECTED, FOLDER, STARTERS, predict

# Pixels; a face finder on another processor rounds otherwise.
_BOX_TOLERANCE = 2
# Below this share of the spread between the best two logits, rounding may change the label.
_CLOSE_CALL = 2 * LIMITS["int8"].largest


@pytest.mark.slow(seconds=5)
@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("starter", STARTERS)
def test_every_sample_is_predicted_as_recorded(starter: str, clip: str) -> None:
    wanted: list[dict[str, Any]] = json.loads((FOLDER / EXPECTED).read_text("utf-8"))[starter][clip]
    found = predict(starter, FOLDER / clip)
    assert [sample["t_s"] for sample in found] == [sample["t_s"] for sample in wanted]
    for here, there in zip(found, wanted, strict=True):
        assert here["face"] == pytest.approx(there["face"], abs=_BOX_TOLERANCE)
    expected, logits = (
        np.array([sample["logits"] for sample in side], np.float32) for side in (wanted, found)
    )
    agreement = compare(expected, logits)
    assert faults(agreement, LIMITS["int8"]) == ()  # as a device passes its self-test
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > _CLOSE_CALL * agreement.spread
    assert clear.mean() > 0.5
    for number in np.flatnonzero(clear):
        assert found[number]["label"] == wanted[number]["label"]


def test_the_clips_are_small() -> None:
    assert all(Path(FOLDER, name).stat().st_size < 200_000 for name in CLIPS)
