"""The frames that make up a clip, of folders and of streams."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.contracts.clip import as_protocol
from s2d_edge.core.errors import ConfigError
from s2d_edge.media.sampling import (
    EARLY_TOLERANCE,
    FolderWindows,
    folder_windows,
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


@given(
    gaps=st.lists(st.floats(0.001, 3), min_size=1, max_size=80), fps=st.sampled_from([1.0, 4.0, 6.0, 25.0])
)
def test_samples_of_any_clock_are_frames_in_order_and_never_too_close(gaps: list[float], fps: float) -> None:
    stamps = np.cumsum(gaps).tolist()
    sampled = [t for t, _ in sample_by_time(((t, None) for t in stamps), fps)]
    assert sampled[0] == stamps[0]
    assert set(sampled) <= set(stamps)
    assert all(later > earlier for earlier, later in itertools.pairwise(sampled))
    span = sampled[-1] - sampled[0]
    assert len(sampled) <= fps * span + 1 + EARLY_TOLERANCE + 1e-6
    longest = max((later - earlier for earlier, later in itertools.pairwise(sampled)), default=0.0)
    assert longest <= 1 / fps + max(gaps) + 1e-6


@pytest.mark.parametrize("source_fps", [6.0, 12.0, 30.0, 59.94])
def test_every_camera_shows_the_model_the_same_rate(source_fps: float) -> None:
    stamps = np.arange(0, 9.9, 1 / source_fps).tolist()
    sampled = [t for t, _ in sample_by_time(((t, None) for t in stamps), 6.0)]
    assert np.abs(np.array(sampled) - np.arange(len(sampled)) / 6).max() <= 1 / source_fps
    assert len(sampled) == 60


def test_protocols() -> None:
    assert as_protocol("paper") == "paper"
    with pytest.raises(ConfigError, match=r"'papers'.*default, paper"):
        as_protocol("papers")
