"""The pipeline: capture, face, model and record stages, wired with queues.

Each stage has a thread, so that none keeps the others waiting. A live source drops the oldest frame while the
face search is busy, and the oldest clip while the model is; a file waits. A file's frames are recorded with
the results that belong to them, so the same file gives the same annotated video.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.engine import Engine
from s2d_edge.firmware_host.io.opencv_capture import READ_TIMEOUT_MS
from s2d_edge.firmware_host.io.results import LiveResult
from s2d_edge.firmware_host.io.source import Frame, Source
from s2d_edge.firmware_host.io.view import Counts, Snapshot
from s2d_edge.firmware_host.pipeline.board import Board
from s2d_edge.firmware_host.pipeline.capture import CaptureStage
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.faces import FaceStage
from s2d_edge.firmware_host.pipeline.faults import Faults
from s2d_edge.firmware_host.pipeline.following import FaceFollower
from s2d_edge.firmware_host.pipeline.infer import InferStage
from s2d_edge.firmware_host.pipeline.messages import ClipRequest, SearchedFrame
from s2d_edge.firmware_host.pipeline.per_face import FacePredictors
from s2d_edge.firmware_host.pipeline.queues import BoundedQueue, WhenFull
from s2d_edge.firmware_host.pipeline.record import FrameSink, RecordStage
from s2d_edge.firmware_host.pipeline.stage import Stage
from s2d_edge.firmware_host.pipeline.stats import LiveStats, Span
from s2d_edge.media.faces.finder import FaceDetector

FRAMES_QUEUED = 4
LIVE_FRAMES_QUEUED = 1  # the newest: a search that is slower than the camera never looks at an old frame
CLIPS_QUEUED = 2
LIVE_CLIPS_QUEUED = 1
RECORD_QUEUED = 8
LIVE_RECORD_QUEUED = 64
RESULTS_KEPT = 256  # of each face: more than frames can wait behind the newest result
FRAME_BYTES_QUEUED = 256 << 20  # in each queue of whole frames: ten of a 4K camera, on a board of 8 GB
CAPTURE_JOIN_S = READ_TIMEOUT_MS / 1e3 + 1  # an interpreter that ends during a read is aborted


class Pipeline:
    """Runs a source through an engine until it ends, is stopped, or fails.

    Attributes:
        samples_wanted: samples of a face before its first result.
    """

    def __init__(
        self,
        *,
        source: Source,
        detector: FaceDetector,
        engine: Engine,
        recipe: CropRecipe,
        config: PipelineConfig,
        on_result: Callable[[LiveResult], None] | None = None,
        on_end: Callable[[], None] | None = None,
        frame_sink: FrameSink | None = None,
        shown: bool = False,
    ) -> None:
        """Wire the stages.

        Args:
            source: where frames come from.
            detector: finds faces in them.
            engine: predicts clips.
            recipe: face crop of the engine's bundle.
            config: stride, smoothing, longest gap without a face, number of faces, frames to search.
            on_result: called with each result, in the model's thread; while it runs, the model waits.
            on_end: called after the last result, in the model's thread.
            frame_sink: takes every frame of the source, annotated.
            shown: True if somebody looks at the snapshots' frames.
        """
        live, seats = source.live, config.max_faces
        policy = WhenFull.DROP_OLDEST if live else WhenFull.WAIT
        clips_queued = (LIVE_CLIPS_QUEUED if live else CLIPS_QUEUED) * seats
        self._source = source
        self._frames: BoundedQueue[Frame] = BoundedQueue(
            LIVE_FRAMES_QUEUED if live else FRAMES_QUEUED,
            policy,
            most_bytes=FRAME_BYTES_QUEUED,
            size_of=lambda frame: frame.picture.nbytes,
        )
        self._requests: BoundedQueue[ClipRequest] = BoundedQueue(clips_queued, policy)
        self._record: BoundedQueue[SearchedFrame] = BoundedQueue(
            LIVE_RECORD_QUEUED if live else RECORD_QUEUED,
            policy,
            most_bytes=FRAME_BYTES_QUEUED,
            size_of=lambda searched: searched.frame.picture.nbytes,
        )
        self._stats = LiveStats()
        self._unsearched = Faults("frames could not be searched for faces", forgiven=live)
        self._unpredicted = Faults("clips could not be predicted", forgiven=live)
        self._board = Board(engine.labels, RESULTS_KEPT * seats)
        predictors = FacePredictors(engine, config)
        self.samples_wanted = predictors.request.frames
        record = self._record if frame_sink is not None else None
        self._capture = CaptureStage(
            source,
            self._frames,
            record=record if live else None,
            board=self._board,
            stats=self._stats,
            on_failure=self._fail,
        )
        self._followers: list[Stage] = [
            FaceStage(
                self._frames,
                self._requests,
                follower=FaceFollower(
                    detector,
                    predictors,
                    config,
                    spec=engine.spec,
                    recipe=recipe,
                    drawn=shown or frame_sink is not None,
                ),
                samples_wanted=self.samples_wanted,
                repeat_short=not live,
                record=None if live else record,
                board=self._board,
                stats=self._stats,
                faults=self._unsearched,
                on_failure=self._fail,
            ),
            InferStage(
                self._requests,
                predictors=predictors,
                labels=engine.labels,
                frames=self._frames,
                board=self._board,
                stats=self._stats,
                faults=self._unpredicted,
                on_result=on_result,
                on_end=on_end,
                on_failure=self._fail,
            ),
        ]
        if frame_sink is not None:
            self._followers.append(
                RecordStage(
                    self._record,
                    frame_sink,
                    wait_for_results=not live,
                    board=self._board,
                    on_failure=self._fail,
                )
            )

    @property
    def running(self) -> bool:
        """True while any stage after the capture still works."""
        return any(stage.alive for stage in self._followers)

    @property
    def stopping(self) -> bool:
        """True once the pipeline was stopped, aborted, or ended by a failure."""
        return self._board.stopping

    @property
    def repeated_frames(self) -> bool:
        """True if the frames of a short file were repeated to fill its only clip."""
        return self._board.repeated_frames

    @property
    def owns_current_thread(self) -> bool:
        """True where the caller runs in the thread of a stage."""
        return any(stage.owns_current_thread for stage in (self._capture, *self._followers))

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the whole frames that wait in queues."""
        return self._frames.held_bytes + self._record.held_bytes

    @property
    def times(self) -> Mapping[Span, NDArray[np.float32]]:
        """Latency of the last samples, and the time of each step on their way, (n,) milliseconds."""
        return self._stats.times()

    @property
    def counts(self) -> Counts:
        """Frames, faces, results and losses so far, and the rates."""
        return self._stats.counts(
            dropped_frames=self._frames.dropped,
            dropped_clips=self._requests.dropped,
            unwritten_frames=self._record.dropped,
            failed_frames=self._unsearched.total,
            failed_clips=self._unpredicted.total,
        )

    def faults(self) -> list[str]:
        """A sentence for each stage that failed at something and went on, with the reasons."""
        return [text for each in (self._unsearched, self._unpredicted) if (text := each.to_text())]

    def snapshot(self) -> Snapshot:
        """The newest searched frame with its faces and results, and the counts."""
        return self._board.snapshot(self.counts)

    def forget_times(self) -> None:
        """Let :attr:`times` begin anew, after a warm-up."""
        self._stats.forget_times()

    def start(self) -> None:
        """Start every stage."""
        for stage in (self._capture, *self._followers):
            stage.start()

    def stop(self) -> None:
        """Take no more frames; those already taken are finished."""
        self._board.stop()
        self._source.stop()
        if self._source.live:  # its read may hang: let the other stages end without it
            self._frames.close()
            self._record.close()

    def abort(self) -> None:
        """Discard what is in the queues, and end each stage after its current item."""
        self._board.stop()
        self._source.stop()
        for queue in (self._frames, self._requests, self._record):
            queue.abort()
        self._board.end_results()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait for the end of every stage; of a capture that hangs in a read, for six seconds only.

        Args:
            timeout_s: longest time to wait for the other stages together, seconds; None waits for their end.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        for stage in self._followers:
            stage.join(None if deadline_s is None else max(deadline_s - time.monotonic(), 0))
        self._capture.join(CAPTURE_JOIN_S)

    def join(self) -> None:
        """Wait for the end, and raise the first failure of any stage."""
        self.wait()
        error = self._board.error
        if error is not None:
            raise error

    def _fail(self, error: BaseException) -> None:
        self._board.fail(error)
        self.abort()
