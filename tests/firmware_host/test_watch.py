"""A live run as an iterator: its results, its errors, and the end of its threads."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.engine import Engine
from s2d_edge.core.errors import ConfigError, DeviceError, MediaError
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.io.file_source import FileSource
from s2d_edge.firmware_host.io.source import Frame, Source
from s2d_edge.firmware_host.watch import LiveResults, watch
from s2d_edge.media.crop import Picture
from s2d_edge.media.tracking import Box, Face
from tests.firmware_host.graphs import make_bundle
from tests.firmware_host.live import BLUE, RAW, RED, FakeCamera, play, results_in
from tests.pictures import SquareDetector, plain, with_square, write_video
from tests.processes import environment, wait_until


@pytest.fixture
def engine(bundle: Bundle) -> Iterator[Engine]:
    with open_engine(bundle, "cpu") as opened:
        yield opened


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.avi", [with_square(RED)] * 30 + [with_square(BLUE)] * 30, fps=20)


def watched(source: str | Path | Source, engine: Engine, bundle: Bundle) -> LiveResults:
    return watch(source, engine, bundle.manifest.crop, RAW, detector=SquareDetector())


def stage_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("s2d-")]


class BreakingSource(FileSource):
    """A file that cannot be read to its end."""

    def frames(self) -> Iterator[Frame]:
        yield from itertools.islice(super().frames(), 12)
        raise MediaError("broken on purpose")


def test_results_are_those_of_a_run(bundle: Bundle, engine: Engine, clip: Path, tmp_path: Path) -> None:
    play(bundle, FileSource(clip), json=str(tmp_path / "out"))
    written = results_in(tmp_path / "out")
    for source in (clip, str(clip), FileSource(clip)):
        results = watched(source, engine, bundle)
        assert [(each.frame, each.label) for each in results] == [
            (each["frame"], each["label"]) for each in written
        ]
        assert results.counts.results == len(written)
        assert list(results) == []
        assert stage_threads() == []


def test_break_ends_the_threads_and_leaves_the_engine_open(
    bundle: Bundle, engine: Engine, clip: Path
) -> None:
    for source in (clip, FakeCamera(1_000_000)):
        for result in watched(source, engine, bundle):
            assert result.label == "red"
            break
        assert stage_threads() == []
    assert len(list(watched(clip, engine, bundle))) == 27


def test_with_block_and_exception_end_the_threads(bundle: Bundle, engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), watched(FakeCamera(1_000_000), engine, bundle) as results:
        for _ in results:
            raise ZeroDivisionError
    assert stage_threads() == []
    with pytest.raises(StopIteration):
        next(results)


def test_unused_iterator_is_closed_by_the_garbage_collector(bundle: Bundle, engine: Engine) -> None:
    results = watched(FakeCamera(1_000_000), engine, bundle)
    assert stage_threads()
    del results
    gc.collect()
    assert stage_threads() == []


def test_iterator_dropped_in_a_stage_is_closed_by_another_thread(bundle: Bundle, engine: Engine) -> None:
    """A stage cannot wait for its own end."""
    held: list[LiveResults] = []
    let_go = threading.Event()

    class Dropping(SquareDetector):
        def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
            let_go.wait()
            held.clear()
            return super().find(frame, followed)

    camera = FakeCamera(1_000_000)
    held.append(watch(camera, engine, bundle.manifest.crop, RAW, detector=Dropping()))
    let_go.set()
    wait_until(lambda: not stage_threads())
    assert held == []


LEFT_OPEN = """
import sys
from s2d_edge.contracts.bundle import open_bundle
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.watch import watch
from pathlib import Path
bundle = open_bundle(Path(sys.argv[1]))
results = watch(sys.argv[2], open_engine(bundle, "cpu"), bundle.manifest.crop, close_engine=True)
print(next(results).track)
"""


@pytest.mark.slow(seconds=2)
def test_program_that_leaves_the_iterator_open_ends_cleanly(bundle: Bundle, shared_data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN, str(bundle.path), str(shared_data / "clips/d0.mp4")],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_stop_ends_a_camera_after_the_frames_it_took(bundle: Bundle, engine: Engine) -> None:
    results = watched(FakeCamera(1_000_000), engine, bundle)
    first = next(results)
    results.stop()
    rest = list(results)
    assert results.counts.results == 1 + len(rest)
    assert all(each.frame > first.frame for each in rest)


@pytest.mark.slow(seconds=2)
def test_slow_reader_of_a_camera_loses_whole_clips_which_are_counted(bundle: Bundle, engine: Engine) -> None:
    results = watched(FakeCamera(1_000_000), engine, bundle)
    with results:
        first = next(results)  # on a busy machine clips may be lost before it too
        wait_until(lambda: results.counts.dropped_clips >= first.dropped_clips + 3)
        *_, last = itertools.islice(results, 6)
        assert last.dropped_clips >= first.dropped_clips + 3


def test_errors_come_after_the_results_before_them(bundle: Bundle, engine: Engine, clip: Path) -> None:
    results = watched(BreakingSource(clip), engine, bundle)
    with pytest.raises(MediaError, match="broken on purpose"):
        for _ in results:
            pass
    assert stage_threads() == []
    assert list(results) == []


def test_file_without_a_face_and_failing_model_raise(bundle: Bundle, engine: Engine, tmp_path: Path) -> None:
    nobody = write_video(tmp_path / "nobody.avi", [plain((0, 0, 0))] * 12, fps=10)
    with pytest.raises(MediaError, match="12 frames"):
        list(watched(nobody, engine, bundle))
    broken = make_bundle(tmp_path / "b", weights=np.full((3, 3), np.nan, np.float32))
    clip = write_video(tmp_path / "clip.avi", [with_square(RED)] * 200, fps=10)
    with open_engine(broken, "cpu") as failing, pytest.raises(DeviceError):
        list(watched(clip, failing, broken))


def test_owned_engine_is_closed_once_also_when_the_source_does_not_open(
    bundle: Bundle, engine: Engine, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(engine, "close", lambda: closed.append(True))
    crop = bundle.manifest.crop
    results = watch(clip, engine, crop, RAW, detector=SquareDetector(), close_engine=True)
    results.close()
    results.close()
    assert closed == [True]
    with pytest.raises(ConfigError, match="gopher"):
        watch("gopher://nowhere", engine, crop, RAW, detector=SquareDetector(), close_engine=True)
    assert closed == [True, True]


def test_real_face_is_found_without_a_detector_given(
    bundle: Bundle, engine: Engine, shared_data: Path
) -> None:
    with watch(shared_data / "clips/d0.mp4", engine, bundle.manifest.crop) as results:
        assert next(results).track == 1
    assert stage_threads() == []
