"""A face's stream on the host: the slot written, the age of the others, and when a prediction is due."""

from __future__ import annotations

from dataclasses import replace
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
from s2d_edge.firmware_host.pipeline.messages import ClipRequest
from s2d_edge.firmware_host.pipeline.predictors import StreamPredictor, predictor_for
from s2d_edge.media.sampling import PeriodicSampler
from tests.firmware_host.stand_ins import sample
from tests.models import CAUSAL
from tests.shared import Shared

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

T = CAUSAL.frames
SIZE = CAUSAL.vit.image_size
FRAME = np.zeros((1, SIZE, SIZE, 3), np.uint8)
SPEC = ClipSpec(frames=T, fps=10.0, size=SIZE)


def request(number: float) -> ClipRequest:
    """One sample of one face."""
    return ClipRequest(1, 0, 1, FRAME[None], replace(sample(0), number=number), 1.0, 0.0)


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
    predictor = StreamPredictor(session, SPEC, stride=1)
    predictions = [predictor.predict(request(number)) for number in (0, 1, 4, 4.4)]
    assert [age[0] for age, _ in rings.steps] == [4, 1, 4, 4]  # 3 periods between the second and the third
    assert rings.steps[2] == ([4, 3, 4], 2)
    assert rings.steps[3] == ([4, 3, 1], 0)  # two samples are never of one time
    assert [each.frames for each in predictions if each is not None] == [1, 2, 2, 3]
    assert [each.pace for each in predictions if each is not None] == pytest.approx([1, 1, 3, 1.7])


@pytest.mark.parametrize(("fps", "warming"), [(8.0, 3), (6.0, 3), (30.0, 3), (3.5, 2), (1.5, 1)])
def test_ages_are_true_to_half_a_period_at_any_rate(manifest: Manifest, fps: float, warming: int) -> None:
    """The age of every slot that the graph sees, at every step, against the clock."""
    session, rings = _session(manifest)
    sampler = PeriodicSampler(8.0)
    times: list[float] = []  # of the samples
    warm = []
    for frame in range(400):
        number = sampler.number(frame / fps)
        if number is None:
            continue
        session.step(FRAME, number)
        times.append(frame / fps)
        warm.append(session.warming)
        ages, written = rings.steps[-1][0], sorted(times[:-1])[-len(rings.steps[-1][0]) :]
        for age, t_s in zip(sorted(ages)[: len(written)], reversed(written), strict=True):
            elapsed = (times[-1] - t_s) * 8.0
            assert abs(age - elapsed) <= 0.5 or (age == T and elapsed >= T - 0.5)
    assert len(times) == (400 if fps <= 8 else pytest.approx(400 * 8 / fps, abs=1))
    assert warm == [True] * warming + [False] * (len(warm) - warming)
    assert session.pace == pytest.approx(max(8 / fps, 1.0))


def test_every_sample_is_stepped_and_every_stride_th_predicted(manifest: Manifest) -> None:
    session, rings = _session(manifest)
    predictor = StreamPredictor(session, SPEC, stride=3)
    predictions = [predictor.predict(request(number)) for number in range(7)]
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
        ({"outputs": slice(-1)}, "rings"),
        ({"inputs": slice(2)}, "rings"),
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
