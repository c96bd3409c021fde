"""The clip window: when a clip is due, its pace, and how a short file fills it."""

from __future__ import annotations

import numpy as np
import pytest

from s2d_edge.firmware_host.pipeline.clip_window import ClipWindow
from tests.firmware_host.stand_ins import SPEC, sample


def first_values(clip: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[int]:
    return [int(value) for value in clip[0, :, 0, 0, 0]]


def test_window_slides_by_the_stride() -> None:
    window = ClipWindow(SPEC, stride=2)
    clips = {index: window.add(sample(index)) for index in range(9)}
    due = {index: first_values(clip) for index, clip in clips.items() if clip is not None}
    assert due == {3: [0, 1, 2, 3], 5: [2, 3, 4, 5], 7: [4, 5, 6, 7]}
    assert clips[3] is not None
    assert clips[3].shape == (1, 4, 32, 32, 3)
    assert clips[3].dtype == np.uint8


def test_pace_is_the_mean_distance_of_the_samples() -> None:
    window = ClipWindow(SPEC, stride=1)
    assert window.pace == 1.0
    paces = []
    for number in (0, 1, 2, 3, 6):  # two samples are lost before the last
        window.add(sample(number))
        paces.append(window.pace)
    assert paces == pytest.approx([1, 1, 1, 1, 5 / 3])
    window.clear()
    assert window.pace == 1.0


def test_short_file_stretches_its_longest_run() -> None:
    window = ClipWindow(SPEC, stride=1)
    assert window.stretched() is None
    for index in (0, 1):
        window.add(sample(index))
    window.clear()
    window.add(sample(7))
    stretched = window.stretched()
    assert stretched is not None
    assert first_values(stretched[0]) == [0, 0, 1, 1]
    assert stretched[1].index == 1
