"""Times of frames: the container's where it has them, counted ones where it has none."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.media.sampling import sample_by_time
from s2d_edge.media.video import FrameClock, probe_video, read_video
from tests.pictures import plain


def write_at(path: Path, ticks: list[int], rate: int = 30) -> Path:
    """A video whose frames come at these ticks of a clock of ``rate``."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for k, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(plain((5 * k, 100, 100)), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_variable_rate_is_respected(tmp_path: Path, suffix: str) -> None:
    """30 a second, then 5 a second: a phone in the dusk."""
    ticks = [*range(30), *range(30, 30 + 6 * 15, 6)]
    path = write_at(tmp_path / f"a{suffix}", ticks)
    times = [t_s for t_s, _ in read_video(path)]
    np.testing.assert_allclose(times, np.array(ticks) / 30, atol=2e-3)
    numbers = [number for number, _ in sample_by_time(((t_s, None) for t_s in times), 5.0)]
    np.testing.assert_allclose(numbers, np.arange(len(numbers)), atol=0.02)


@pytest.mark.parametrize("rate", [240, 300, 480, 960])
def test_high_rates_are_what_they_are(tmp_path: Path, rate: int) -> None:
    path = write_at(tmp_path / "a.mp4", list(range(40)), rate)
    assert probe_video(path).fps == pytest.approx(rate, rel=0.02)
    assert [t_s for t_s, _ in read_video(path)] == pytest.approx([k / rate for k in range(40)], abs=1e-3)


@given(stamps=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40), fps=st.floats(0.5, 1000))
def test_times_rise_whatever_the_container_says(stamps: list[float], fps: float) -> None:
    clock = FrameClock(fps)
    times = [clock.time_of(stamp) for stamp in stamps]
    assert all(np.isfinite(times))
    assert all(later >= earlier for earlier, later in pairwise(times))
    assert clock.counted <= len(stamps)


@pytest.mark.parametrize("missing", [0.0, -1.0, -7.7e12, float("nan"), float("inf")])
def test_missing_times_are_counted(missing: float) -> None:
    clock = FrameClock(25.0)
    times = [clock.time_of(missing) for _ in range(50)]
    assert np.subtract(times, times[0]) == pytest.approx(np.arange(50) / 25)
    assert clock.counted >= 49


def test_times_that_go_missing_on_the_way_are_counted_on() -> None:
    clock = FrameClock(10.0)
    stamps = [0.0, 0.1, 0.0, 0.0, 0.4, 0.0, float("nan"), 0.7]
    assert [clock.time_of(stamp) for stamp in stamps] == pytest.approx([k / 10 for k in range(8)])
    assert clock.counted == 4
