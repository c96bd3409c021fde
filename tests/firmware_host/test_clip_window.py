"""The clip window: when a clip is due, what clears it, and how a short file fills it."""

from __future__ import annotations

import numpy as np

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.firmware_host.pipeline.clip_window import ClipWindow
from tests.firmware_host.stand_ins import SPEC, sample


def first_values(clip: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[int]:
    return [int(value) for value in clip[0, :, 0, 0, 0]]


def test_window_slides_by_the_stride() -> None:
    window = ClipWindow(SPEC, stride=2, gap_s=0.5)
    clips = {index: window.add(sample(index)) for index in range(9)}
    due = {index: first_values(clip) for index, clip in clips.items() if clip is not None}
    assert due == {3: [0, 1, 2, 3], 5: [2, 3, 4, 5], 7: [4, 5, 6, 7]}
    assert clips[3] is not None
    assert clips[3].shape == (1, 4, 32, 32, 3)
    assert clips[3].dtype == np.uint8


def test_gap_clears_the_window() -> None:
    window = ClipWindow(SPEC, stride=1, gap_s=0.5)
    for index in range(3):
        window.add(sample(index))
    assert not window.expire(0.6)
    assert window.filled == 3
    assert window.expire(0.71)
    assert window.filled == 0
    assert not window.expire(5.0)
    slow = ClipWindow(ClipSpec(frames=4, fps=1, size=32), stride=1, gap_s=0.5)
    slow.add(sample(0, fps=1))
    assert not slow.expire(2.0)  # at one sample per second the next one is not late


def test_short_file_stretches_its_longest_run() -> None:
    window = ClipWindow(SPEC, stride=1, gap_s=0.5)
    assert window.stretched() is None
    for index in (0, 1):
        window.add(sample(index))
    window.clear()
    window.add(sample(7))
    stretched = window.stretched()
    assert stretched is not None
    assert first_values(stretched[0]) == [0, 0, 1, 1]
    assert stretched[1].index == 1
