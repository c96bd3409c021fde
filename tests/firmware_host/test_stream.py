"""A face's stream on the host: the slot written, the age of the others, and when a prediction is due."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import Manifest
from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Frame, Logits
from s2d_edge.core.errors import ConfigError
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.engines.stream import StreamSession
from s2d_edge.firmware_host.pipeline.predictors import StreamPredictor, predictor_for
from tests.models import CAUSAL
from tests.shared import Shared

T = CAUSAL.frames
SIZE = CAUSAL.vit.image_size
FRAME = np.zeros((1, SIZE, SIZE, 3), np.uint8)


class _Recorded:
    """Rings that only record their steps."""

    def __init__(self) -> None:
        self.steps: list[tuple[list[int], int]] = []

    def step(self, frame: Frame, age: NDArray[np.int32], slot: int) -> Logits:
        self.steps.append((age.tolist(), slot))
        return np.zeros((1, 3), np.float32)

    def copies(self) -> dict[str, NDArray[Any]]:
        return {}


@pytest.fixture(scope="module")
def manifest(shared: Shared) -> Manifest:
    return shared.exported("intel-cpu", "stream", CAUSAL).manifest


def _session(manifest: Manifest) -> tuple[StreamSession, _Recorded]:
    rings = _Recorded()
    return StreamSession(manifest, rings, lambda logits: logits), rings


def test_slots_are_written_in_turn_and_age(manifest: Manifest) -> None:
    session, rings = _session(manifest)
    for number in range(5):
        session.step(FRAME, number)
    assert rings.steps == [
        ([4, 4, 4], 0),  # 4 is T: not seen
        ([1, 4, 4], 1),
        ([2, 1, 4], 2),
        ([3, 2, 1], 0),
        ([1, 3, 2], 1),
    ]


def test_a_lost_sample_makes_the_slots_before_it_older(manifest: Manifest) -> None:
    session, rings = _session(manifest)
    predictor = StreamPredictor(session, ClipSpec(frames=T, fps=10.0, size=SIZE), stride=1)
    clip = FRAME[None]
    predictions = [predictor.predict(clip, t_s) for t_s in (0.0, 0.11, 0.39, 0.41)]
    assert [age[0] for age, _ in rings.steps] == [4, 1, 4, 4]  # 3 periods between the second and the third
    assert rings.steps[2] == ([4, 3, 4], 2)
    assert rings.steps[3] == ([4, 4, 1], 0)  # two samples are never of one time
    assert [each is not None and each.warming for each in predictions] == [True] * 4


def test_every_sample_is_stepped_and_every_stride_th_predicted(manifest: Manifest) -> None:
    session, rings = _session(manifest)
    predictor = StreamPredictor(session, ClipSpec(frames=T, fps=10.0, size=SIZE), stride=3)
    predictions = [predictor.predict(FRAME[None], k / 10) for k in range(7)]
    assert [each is not None for each in predictions] == [True, False, False, True, False, False, True]
    assert len(rings.steps) == 7
    assert predictions[0] is not None
    assert predictions[0].warming
    assert predictions[3] is not None
    assert not predictions[3].warming
    predictor.reset()
    assert session.seen == 0


@pytest.mark.slow(seconds=2)
def test_the_graph_decides_the_kind_of_request(shared: Shared) -> None:
    for mode, frames in (("window", T), ("stream", 1)):
        with open_engine(shared.exported("intel-cpu", mode, CAUSAL), "cpu") as engine:
            assert predictor_for(engine, 2).request.frames == frames


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outputs": slice(-1)}, "new slots for"),
        ({"inputs": slice(2)}, "a stream graph takes"),
        ({"mode": "window"}, r"inputs\[0\]"),
        ({"frames": 9}, r"inputs\[1\]"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(manifest: Manifest, change: dict[str, Any], words: str) -> None:
    fields = manifest.model_dump()
    for name, value in change.items():
        fields[name] = fields[name][value] if isinstance(value, slice) else value
    with pytest.raises((ValueError, ConfigError), match=words):
        Manifest.model_validate(fields)
