"""The clips of self-tests: the same bytes everywhere, and moving."""

from __future__ import annotations

import hashlib

import numpy as np

from s2d_edge.firmware_host.selftest.patterns import GENERATOR, moving_patterns


def test_the_same_bytes_on_every_machine() -> None:
    clips = moving_patterns(2, 3, 20, seed=0)
    assert clips.shape == (2, 3, 20, 20, 3)
    assert clips.dtype == np.uint8
    # The self-tests of existing bundles hold logits of these clips: other clips need another GENERATOR.
    assert (GENERATOR, hashlib.sha256(clips.tobytes()).hexdigest()[:16]) == (1, "c2376295ce1e14f2")


def test_clips_differ_move_and_fill_the_range() -> None:
    clips = moving_patterns(8, 4, 64, seed=0).astype(int)
    assert not np.array_equal(clips, moving_patterns(8, 4, 64, seed=1))
    for clip in clips:
        assert clip.std() > 20
        assert np.abs(clip[1:] - clip[:-1]).mean() > 1
    assert clips.min() == 0
    assert clips.max() == 255
    assert clips.mean(axis=(1, 2, 3)).std() > 20  # each its own colours


def test_large_pictures_do_not_overflow() -> None:
    small, large = (moving_patterns(1, 1, size, seed=0)[0, 0] for size in (64, 1024))
    assert np.abs(large[::16, ::16].astype(int) - small).mean() < 2  # the same waves, drawn finer
