"""The frames that make up a clip, of folders and of streams."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.contracts.clip import as_protocol
from s2d_edge.core.errors import ConfigError
from s2d_edge.media.sampling import (
    EARLY_TOLERANCE,
    FolderWindows,
    PeriodicSampler,
    folder_windows,
    pace_of,
    sample_by_time,
    uniform_indices,
)


@pytest.mark.parametrize(
    ("available", "windows", "expected"),
    [
        # Training draws a start from 0 to n - T - 1, so the last window is never drawn.
        (7, "every", [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]),
        (5, "every", [[0, 1, 2, 3]]),
        (4, "every", [[0, 1, 2, 3]]),
        (2, "every", [[0, 1, 1, 1]]),
        (1, "every", [[0, 0, 0, 0]]),
        (7, "ends", [[0, 1, 2, 3], [3, 4, 5, 6]]),
        (20, "ends", [[0, 1, 2, 3], [16, 17, 18, 19]]),
        (4, "ends", [[0, 1, 2, 3]]),
        (3, "ends", [[0, 1, 2, 2]]),
        (7, "spread", [[0, 2, 4, 6]]),
        (2, "spread", [[0, 0, 1, 1]]),
    ],
)
def test_windows_of_four_frames(available: int, windows: FolderWindows, expected: list[list[int]]) -> None:
    assert folder_windows(available, 4, windows).tolist() == expected


def test_one_frame() -> None:
    assert folder_windows(5, 1, "spread").tolist() == [[2]]
    assert folder_windows(3, 1, "every").tolist() == [[0], [1]]
    assert folder_windows(3, 1, "ends").tolist() == [[0], [2]]


@given(available=st.integers(1, 200), wanted=st.integers(1, 64))
def test_uniform_indices_are_evenly_spread(available: int, wanted: int) -> None:
    indices = uniform_indices(available, wanted)
    assert len(indices) == wanted
    assert indices[0] == 0
    assert indices[-1] == (available - 1 if wanted > 1 else 0)
    steps = np.diff(indices)
    assert wanted == 1 or steps.max() - steps.min() <= 1
    assert (wanted == available) <= bool((steps == 1).all())


def samples_of(stamps: Sequence[float], fps: float) -> list[tuple[float, float]]:
    """Number and time of every sample."""
    return list(sample_by_time(((t_s, t_s) for t_s in stamps), fps))


def served_by_brute_force(stamps: Sequence[float], fps: float) -> list[tuple[float, float]]:
    """Look for the first frame that has reached each point of the grid; for sources twice as fast as it."""
    points = int((stamps[-1] - stamps[0]) * fps) + 2
    reached = [
        next((t_s for t_s in stamps if (t_s - stamps[0]) * fps >= point - EARLY_TOLERANCE - 1e-6), None)
        for point in range(points)
    ]
    return [(float(point), t_s) for point, t_s in enumerate(reached) if t_s is not None]


RATES = st.floats(0.2, 240)
GRIDS = st.sampled_from([1.0, 4.0, 8.0, 25.0, 29.97])


@given(gaps=st.lists(st.floats(0.001, 3), min_size=1, max_size=80), fps=GRIDS, start_s=st.floats(-100, 1e7))
def test_samples_of_any_clock_lie_on_the_grid_and_never_too_close(
    gaps: list[float], fps: float, start_s: float
) -> None:
    """Whatever a source does: numbers are true to half a period, and nothing is sampled twice."""
    stamps = (start_s + np.cumsum(gaps)).tolist()
    sampled = samples_of(stamps, fps)
    assert sampled[0] == (0.0, stamps[0])
    assert {t_s for _, t_s in sampled} <= set(stamps)
    for number, t_s in sampled:
        assert abs(number - (t_s - stamps[0]) * fps) <= 0.5 + 1e-5
    for (earlier, before_s), (later, after_s) in itertools.pairwise(sampled):
        assert later - earlier >= 0.5 - 1e-5
        assert after_s > before_s
        assert after_s - before_s <= 1.5 / fps + max(gaps) + 1e-6


@given(source=RATES, fps=GRIDS, frames=st.integers(2, 300), start_s=st.floats(0, 1e6))
def test_a_steady_source_of_any_rate(source: float, fps: float, frames: int, start_s: float) -> None:
    """It serves every point of the grid once if it keeps up; if it does not, no frame of it is lost."""
    stamps = [start_s + k / source for k in range(frames)]
    sampled = samples_of(stamps, fps)
    numbers = [number for number, _ in sampled]
    if source >= fps * (1 + 1e-4):
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= (stamps[-1] - start_s) * fps - 0.5
    elif source <= fps * (1 - 1e-4):
        assert numbers == pytest.approx([k * fps / source for k in range(frames)], abs=1e-3)
    else:
        assert len(numbers) == frames
        assert np.diff(numbers) == pytest.approx(1, abs=1e-3)
    if source >= 2 * fps and start_s == 0:
        assert sampled == served_by_brute_force(stamps, fps)[: len(sampled)]


@given(
    source=st.floats(20, 240),
    fps=st.sampled_from([1.0, 4.0, 5.0]),
    jitter=st.lists(st.floats(-0.2, 0.2), min_size=40, max_size=200),
    dropped=st.sets(st.integers(1, 99).map(lambda half: 2 * half), max_size=20),
    after=st.integers(1, 199),
    pause_s=st.floats(3, 20),
)
def test_jitter_drops_and_a_pause_against_a_brute_force_grid(
    source: float, fps: float, jitter: list[float], dropped: set[int], after: int, pause_s: float
) -> None:
    """Sample by sample, by a search through all frames for the one that reached the point first."""
    stamps = [
        (k + each) / source + (pause_s if k >= after else 0.0)
        for k, each in enumerate(jitter)
        if k not in dropped
    ]
    expected = served_by_brute_force(stamps, fps)
    resumed_s = next((later for earlier, later in itertools.pairwise(stamps) if later - earlier > 2.5), None)
    if resumed_s is not None:  # the first frame after the pause says itself where on the grid it lies
        place = (resumed_s - stamps[0]) * fps
        expected = sorted(
            [(place, resumed_s)]
            + [(n, t_s) for n, t_s in expected if t_s < resumed_s or (n > place + 0.5 and t_s != resumed_s)]
        )
    sampled = samples_of(stamps, fps)
    assert [t_s for _, t_s in sampled] == [t_s for _, t_s in expected]
    assert [number for number, _ in sampled] == pytest.approx([number for number, _ in expected])


def test_rounding_never_adds_up() -> None:
    """A day of a camera at 6 frames a second, under a model of 8."""
    sampler = PeriodicSampler(8.0)
    frames = range(0, 6 * 86_400, 601)
    numbers = [sampler.number(frame / 6) for frame in frames]
    assert numbers == pytest.approx([frame * 8 / 6 for frame in frames])
    assert sampler.number(86_400.0) == pytest.approx(86_400 * 8)


@pytest.mark.parametrize("source_fps", [6.0, 6.5, 7.0, 9.0, 11.9, 12.0, 30.0, 59.94, 240.0])
def test_every_camera_shows_the_model_the_same_rate(source_fps: float) -> None:
    stamps = np.arange(0, 9.7, 1 / source_fps).tolist()
    sampled = samples_of(stamps, 6.0)
    assert len(sampled) in (58, 59)
    assert [number for number, _ in sampled] == list(range(len(sampled)))
    late = np.array([t_s for _, t_s in sampled]) - np.arange(len(sampled)) / 6
    assert np.abs(late).max() <= 0.5 / 6 + 1e-6


def test_pace() -> None:
    assert pace_of(3.0, 3.0, 1) == 1.0
    assert pace_of(0.0, 15.0, 16) == 1.0
    assert pace_of(0.0, 20.0, 16) == pytest.approx(4 / 3)


def test_protocols() -> None:
    assert as_protocol("paper") == "paper"
    with pytest.raises(ConfigError, match=r"'papers'.*default, paper"):
        as_protocol("papers")
