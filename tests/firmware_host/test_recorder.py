"""The annotated video: real time at any rate, parts that survive what happens, failures that are counted."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io import attempts, recorder, timed_video
from s2d_edge.firmware_host.io.recorder import Recorder
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.io.timed_video import TICKS_PER_S, AvVideo
from s2d_edge.firmware_host.io.view import Overlay
from tests.pictures import plain
from tests.processes import environment

OVERLAY = Overlay(labels=("happy", "sad"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at the very next frame."""
    monkeypatch.setattr(attempts, "RETRY_AFTER_S", (0.0,))


@pytest.fixture
def without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (timed_video, recorder):
        monkeypatch.setattr(module, "pyav", lambda: None)


def record(
    path: Path, times_s: Iterable[float], *, live: bool = True, fps: float | None = None, said: Any = None
) -> Recorder:
    """Frames of rising brightness at the given times."""
    with Recorder(path, fps, (said if said is not None else []).append, live=live) as opened:
        for index, t_s in enumerate(times_s):
            opened.write(frame(index, t_s), OVERLAY)
    return opened


def frame(index: int, t_s: float, width: int = 96, height: int = 64) -> Frame:
    return Frame(index, t_s, plain((4 * index % 256,) * 3, width, height), 0.0)


def video(path: Path) -> tuple[list[float], list[int]]:
    """Times in seconds and brightness of every frame that plays."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    times_s: list[float] = []
    bright: list[int] = []
    while True:
        decoded, picture = capture.read()
        if not decoded:
            return times_s, bright
        times_s.append(float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3)
        bright.append(round(float(picture[:20, :20].mean()) / 4))


def at(*rates_and_seconds: tuple[float, float], start_s: float = 3.0) -> list[float]:
    """Times of frames at one rate after the other."""
    times_s, now_s = [], start_s
    for fps, seconds in rates_and_seconds:
        for _ in range(round(fps * seconds)):
            times_s.append(now_s)
            now_s += 1 / fps
    return times_s


CHANGING = [
    at((30, 0.5), (5, 2)),  # a camera in the dusk
    at((5, 1), (30, 1)),
    at((1, 3)),
    at((1000, 0.05)),
    at((29.97, 1)),
    at((20, 0.5)) + at((20, 0.5), start_s=60.0),  # a lost connection
]


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("times_s", CHANGING)
def test_every_frame_keeps_its_own_time(tmp_path: Path, times_s: list[float], live: bool) -> None:
    opened = record(tmp_path / "out.mp4", times_s, live=live, fps=30)
    shown_s, bright = video(tmp_path / "out.mp4")
    assert bright == pytest.approx(list(range(len(times_s))), abs=1)
    np.testing.assert_allclose(shown_s, np.subtract(times_s, times_s[0]), atol=1.5 / TICKS_PER_S + 1e-3)
    assert (opened.lost, opened.parts) == (0, [tmp_path / "out.mp4"])


@pytest.mark.usefixtures("without_pyav")
@pytest.mark.parametrize("times_s", CHANGING)
def test_without_pyav_the_video_lasts_as_long(tmp_path: Path, times_s: list[float]) -> None:
    said: list[str] = []
    opened = record(tmp_path / "out.mp4", times_s, fps=30, said=said)
    shown_s, bright = video(tmp_path / "out.mp4")
    shown = sorted(set(bright))
    lasts_s = times_s[-1] - times_s[0]
    assert shown_s[-1] == pytest.approx(lasts_s, abs=timed_video.BEHIND_S + 1 / 30)
    assert opened.lost <= max(len(times_s) - 30 * lasts_s, 0)
    assert len(shown) >= len(times_s) - opened.lost - 2
    assert all(earlier <= later for earlier, later in pairwise(bright))
    assert "s2d-edge[av]" in said[0]


@pytest.mark.usefixtures("without_pyav")
@pytest.mark.parametrize("fps", [300.0, 480.0, 960.0])
def test_without_pyav_a_slow_motion_file_lasts_as_long(tmp_path: Path, fps: float) -> None:
    times_s = at((fps, 0.2))
    assert record(tmp_path / "out.mp4", times_s, fps=fps, live=False).lost == 0
    shown_s, _ = video(tmp_path / "out.mp4")
    assert shown_s[-1] == pytest.approx(times_s[-1] - times_s[0], abs=2e-3)


def test_times_that_do_not_rise_keep_every_frame(tmp_path: Path) -> None:
    record(tmp_path / "out.mp4", [0.0, 0.0, 0.1, 0.05, 0.2])
    assert len(video(tmp_path / "out.mp4")[0]) == 5


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("size", [(96, 64), (97, 65), (33, 31)])
def test_any_size_of_picture(tmp_path: Path, size: tuple[int, int], live: bool) -> None:
    with Recorder(tmp_path / "out.mp4", 10, pytest.fail, live=live) as opened:
        for index in range(5):
            opened.write(frame(index, index / 10, *size), OVERLAY)
    assert len(video(tmp_path / "out.mp4")[0]) == 5


@pytest.mark.parametrize("pyav", [True, False])
def test_another_size_begins_a_new_part(tmp_path: Path, pyav: bool, request: pytest.FixtureRequest) -> None:
    if not pyav:
        request.getfixturevalue("without_pyav")
    (tmp_path / "out-2.mp4").write_text("of another day")
    with Recorder(tmp_path / "out.mp4", 10, lambda _: None, live=True) as opened:
        for index in range(15):
            width = 96 if index // 5 != 1 else 64
            opened.write(frame(index, index / 10, width), OVERLAY)
    assert [part.name for part in opened.parts] == ["out.mp4", "out-3.mp4", "out-4.mp4"]
    for number, part in enumerate(opened.parts):
        assert video(part)[1] == pytest.approx(range(5 * number, 5 * number + 5), abs=2)
    assert opened.lost == 0
    assert (tmp_path / "out-2.mp4").read_text() == "of another day"


def test_an_earlier_recording_is_not_replaced(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(3):
        last = record(tmp_path / "out.mp4", at((10, 0.5)), said=said)
    assert [part.name for part in last.parts] == ["out-3.mp4"]
    assert len(list(tmp_path.iterdir())) == 3
    assert len(said) == 2
    for _ in range(2):  # of a recording there is one result, and the newest has the name
        record(tmp_path / "file.mp4", at((10, 0.5)), live=False)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_run_without_a_frame_leaves_nothing(tmp_path: Path) -> None:
    for live in (True, False):
        assert record(tmp_path / "out.mp4", [], live=live).parts == []
    assert list(tmp_path.iterdir()) == []


class Disk:
    """A disk on which writing works until it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        write = AvVideo._mux

        def mux(video: AvVideo, frame: Any) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(video, frame)

        monkeypatch.setattr(AvVideo, "_mux", mux)


def test_a_full_disk_ends_a_part_and_room_begins_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, said = Disk(monkeypatch), list[str]()
    with Recorder(tmp_path / "out.mp4", None, said.append, live=True) as opened:
        for index in range(30):
            disk.full = 10 <= index < 20
            opened.write(frame(index, index / 10), OVERLAY)
    assert opened.lost == 10
    assert [part.name for part in opened.parts] == ["out.mp4", "out-2.mp4"]
    assert video(opened.parts[1])[1] == pytest.approx(range(20, 30), abs=2)
    first_s, _ = video(opened.parts[0])
    assert first_s[-1] > 0.9 - 2
    assert len(list(tmp_path.iterdir())) == 2  # none for every attempt
    assert len(said) == 2
    assert "10" in said[1]


def test_a_recording_of_a_file_is_absent_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, said = Disk(monkeypatch), list[str]()
    (tmp_path / "out.mp4").write_text("an earlier run")
    with Recorder(tmp_path / "out.mp4", 10, said.append, live=False) as opened:
        for index in range(10):
            disk.full = index == 5
            opened.write(frame(index, index / 10), OVERLAY)
    assert (opened.lost, opened.parts, len(said)) == (5, [], 1)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "an earlier run"


def test_room_is_left_for_the_other_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 1 << 30
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free})())
    said: list[str] = []
    with Recorder(tmp_path / "out.mp4", None, said.append, live=True) as opened:
        for index in range(120):
            free = 1 << 30 if index < 20 or index >= 100 else 1000 if index < 60 else 2 << 20
            opened.write(frame(index, index / 10), OVERLAY)
    assert 20 <= 120 - opened.lost - 20 <= 40
    assert len(opened.parts) == 2  # a little room is not filled with parts of a few frames


def test_what_cannot_be_opened_is_an_error_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    for path in (tmp_path / "file" / "out.mp4", tmp_path / "folder.mp4"):
        with pytest.raises(MediaError, match=str(path)):
            Recorder(path, None, pytest.fail, live=True)


def test_a_pipe_is_recorded_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with (tmp_path / "copy.mp4").open("wb") as copy:
        reader = subprocess.Popen(["cat", str(tmp_path / "pipe.mp4")], stdout=copy)
        record(tmp_path / "pipe.mp4", at((10, 1)))
        reader.wait()
    assert len(video(tmp_path / "copy.mp4")[0]) == 10


KILLED = """
import sys
from pathlib import Path
from s2d_edge.firmware_host.io.recorder import Recorder
from tests.firmware_host.test_recorder import OVERLAY, frame
fps = float(sys.argv[2])
with Recorder(Path(sys.argv[1]), None, print, live=True) as opened:
    for index in range(round(10 * fps)):
        opened.write(frame(index, index / fps), OVERLAY)
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("fps", [1.5, 30])
def test_a_killed_recording_plays_to_two_seconds_before_the_end(tmp_path: Path, fps: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "out.mp4"), str(fps)],
        stdin=subprocess.PIPE,  # closed where the test fails, which ends the process
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    shown_s, _ = video(tmp_path / "out.mp4")
    assert shown_s[-1] >= 10 - 1 / fps - 2
