"""Memory of a run of months: a million samples through the bookkeeping, and large frames that wait."""

from __future__ import annotations

import gc
import threading
import types
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.clip import ClipSpec, CropRecipe
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.io.source import Frame, SourceState
from s2d_edge.firmware_host.io.view import Overlay
from s2d_edge.firmware_host.pipeline import clips as clips_module
from s2d_edge.firmware_host.pipeline.board import Board
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.faces import FaceStage
from s2d_edge.firmware_host.pipeline.faults import Faults
from s2d_edge.firmware_host.pipeline.following import FaceFollower
from s2d_edge.firmware_host.pipeline.infer import InferStage
from s2d_edge.firmware_host.pipeline.messages import ClipRequest
from s2d_edge.firmware_host.pipeline.per_face import FacePredictors
from s2d_edge.firmware_host.pipeline.pipeline import FRAME_BYTES_QUEUED
from s2d_edge.firmware_host.pipeline.queues import BoundedQueue, WhenFull
from s2d_edge.firmware_host.pipeline.stats import LiveStats
from s2d_edge.media.crop import Picture
from s2d_edge.media.sampling import PeriodicSampler
from s2d_edge.media.tracking import Box, Face, FaceTracker
from tests.firmware_host.live import pipeline_of
from tests.firmware_host.stand_ins import RESULT, Constant
from tests.pictures import mesh_at
from tests.processes import wait_until

SPEC = ClipSpec(frames=3, fps=10, size=32)
PICTURE = np.zeros((8, 8, 3), np.uint8)
CROP = np.zeros((SPEC.size, SPEC.size, 3), np.uint8)
SEATS = 3


class Passersby:
    """A face that stays, one that comes and goes, and ghosts seen once; at times nobody at all."""

    def __init__(self) -> None:
        self._number = 0
        self._points = mesh_at(0, 0, 20)

    def _face(self, x: int) -> Face:
        return Face(self._points, (x, 0, 20, 20))

    def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
        self._number += 1
        number = self._number
        faces = [] if number % 1000 < 30 else [self._face(0)]
        if number % 40 < 25:
            faces.append(self._face(100 + number // 40 % 7 * 30))
        if number % 11 == 0:
            faces.append(self._face(400 + number % 13 * 30))
        return faces

    def close(self) -> None:
        """Nothing to free."""


class Bookkeeping:
    """The face and the model stage in one thread; the model is too slow for 30 % of the clips."""

    def __init__(self, stride: int, begun: int) -> None:
        config = PipelineConfig(stride=stride, max_faces=SEATS)
        engine = Constant(SPEC)
        self.stats = LiveStats()
        self.board = Board(engine.labels, 64)
        self.frames: BoundedQueue[Frame] = BoundedQueue(1, WhenFull.DROP_OLDEST)
        self.requests: BoundedQueue[ClipRequest] = BoundedQueue(SEATS, WhenFull.DROP_OLDEST)
        predictors = FacePredictors(engine, config)
        follower = FaceFollower(Passersby(), predictors, config, spec=SPEC, recipe=CropRecipe(size=SPEC.size))
        self.tracker = follower.tracker
        self.face = FaceStage(
            self.frames,
            self.requests,
            follower=follower,
            samples_wanted=SPEC.frames,
            repeat_short=False,
            record=None,
            board=self.board,
            stats=self.stats,
            faults=Faults("items failed", forgiven=False),
            on_failure=self.fail,
        )
        self.model = InferStage(
            self.requests,
            predictors=predictors,
            labels=engine.labels,
            frames=self.frames,
            board=self.board,
            stats=self.stats,
            faults=Faults("items failed", forgiven=False),
            on_result=None,
            on_end=None,
            on_failure=self.fail,
        )
        self._index = begun

    def fail(self, error: BaseException) -> None:
        raise error

    def run(self, frames: int) -> None:
        """Search so many frames, and look at the newest as a panel does, now and then."""
        for _ in range(frames):
            index = self._index
            self._index += 1
            self.board.put_frame(self.face._search(Frame(index, index / SPEC.fps, PICTURE, 0.0)))
            for _ in range(len(self.requests._items) if index % 10 < 7 else 0):
                request = self.requests.get()
                self.board.put_result(request.ticket, self.model._predict(request))
            if index % 100 == 0:
                self.board.snapshot(self.stats.counts(dropped_frames=0, dropped_clips=0, unwritten_frames=0))


def held(*roots: object) -> int:
    """Objects that can be reached from the roots, code and classes left out."""
    left_out = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)
    seen: set[int] = set()
    waiting: list[object] = list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, left_out):
            continue
        seen.add(id(thing))
        waiting.extend(gc.get_referents(thing))
    return len(seen)


def all_kept(kept: Bookkeeping) -> int:
    """Objects that the bookkeeping holds."""
    gc.collect()
    return held(kept.tracker, kept.face, kept.model, kept.board, kept.stats, kept.requests)


@pytest.mark.slow(seconds=6)
@pytest.mark.parametrize(("stride", "begun"), [(1, 0), (3, 0), (300, 0), (1, 3_000_000_000)])
def test_what_the_stages_keep_has_one_size(stride: int, begun: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces come and go, ghosts are seen once, clips are dropped: also in the tenth year of a run."""
    monkeypatch.setattr(clips_module, "align_crop", lambda *_: CROP)
    kept = Bookkeeping(stride, begun)
    sizes, seats = [], []
    for _ in range(8):
        kept.run(2000)
        sizes.append(all_kept(kept))
        seats.append(len(kept.tracker.free))
    assert max(sizes) < 2500  # 27,000 samples would show
    assert kept.tracker.main > 0
    assert max(seats) >= 1  # nobody holds a seat that saw a face once
    counts = kept.stats.counts(dropped_frames=0, dropped_clips=0, unwritten_frames=0)
    assert counts.results > 16_000 / stride / 2
    assert kept.requests.dropped > 0 or stride == 300


@pytest.mark.slow(seconds=6)
def test_a_million_samples() -> None:
    """Numbers, tracks, results and rates: the parts that could pile up, sample by sample."""
    sampler, tracker, board, stats = PeriodicSampler(8.0), FaceTracker(2), Board(("sad",), 64), LiveStats()
    results = [replace(RESULT, track=track) for track in range(1, 8)]
    mesh = mesh_at(0, 0, 20)
    passing = [[Face(mesh, (100 * place, 0, 20, 20))] for place in range(5)]
    sizes = []
    for sample in range(1_000_000):
        number = sampler.number(sample / 6)
        if sample % 3:
            board.put_result(sample, results[sample // 50 % 7] if sample % 10 < 7 else None)
        else:
            tracker.follow(passing[sample // 30 % 5] if sample % 50 else [], sample / 6)
        stats.result_came(1.0, 1.0, 4 / 3)
        if sample % 200_000 == 100_000:
            gc.collect()
            sizes.append(held(sampler, tracker, board, stats))
    assert number == pytest.approx(999_999 * 8 / 6)
    assert max(sizes) - min(sizes) <= 0.1 * min(sizes)
    assert sizes[-1] < 2000
    assert stats.counts(dropped_frames=0, dropped_clips=0, unwritten_frames=0).slow_results == 1_000_000


class LargeFrames:
    """A camera of 4K pictures that take no memory, which all say that they do."""

    fps: float | None = 30.0
    name = "4K"
    frames_wanted = 100

    def __init__(self, *, live: bool) -> None:
        self.live = live
        self.state = SourceState.PLAYING
        self.delivered = threading.Event()

    def frames(self) -> Iterator[Frame]:
        picture = np.broadcast_to(np.uint8(0), (2160, 3840, 3))
        for index in range(self.frames_wanted):
            yield Frame(index, index / 30, picture, 0.0)
        self.delivered.set()

    def stop(self) -> None:
        """The frames end by themselves."""


class Nobody:
    """Finds no face."""

    def find(self, frame: Picture, followed: Sequence[Box] = ()) -> list[Face]:
        return []

    def close(self) -> None:
        """Nothing to free."""


class Stalled:
    """A recorder that writes nothing before it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.frames = 0

    def write(self, frame: Frame, overlay: Overlay) -> None:
        self.let_go.wait()
        self.frames += 1


@pytest.mark.parametrize("live", [True, False])
def test_frames_that_wait_for_a_recorder_are_bounded_in_bytes(bundle: Bundle, live: bool) -> None:
    source, sink = LargeFrames(live=live), Stalled()
    with open_engine(bundle, "cpu") as engine:
        pipeline = pipeline_of(bundle, engine, source, Nobody(), frame_sink=sink)
        pipeline.start()
        if live:
            source.delivered.wait()
        else:
            wait_until(lambda: pipeline.waiting_bytes >= FRAME_BYTES_QUEUED // 2)
        waiting = pipeline.waiting_bytes
        sink.let_go.set()
        pipeline.join()
    one = 2160 * 3840 * 3
    assert FRAME_BYTES_QUEUED // 2 - one <= waiting <= 2 * FRAME_BYTES_QUEUED
    if live:
        assert sink.frames + pipeline.counts.unwritten_frames == 100
        assert 1 <= sink.frames <= 1 + FRAME_BYTES_QUEUED // one
    else:
        assert sink.frames == 100
