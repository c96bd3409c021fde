"""The stages capture -> faces -> clips -> model -> sinks, each where it keeps the others from waiting.

Capture, face search (with the clip windows), the model, and the writer of annotated frames have a thread
each. A live source drops the oldest frame when the face search is busy and the oldest clip when the model
is; a file waits. The writer of a file's frames waits for the answer that belongs to each frame, so the
same file gives the same annotated video.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Condition, Lock, Thread

from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.contracts.engine import Clip, Engine, softmax
from s2d_edge.firmware_host.io.annotate import FaceMark, Overlay
from s2d_edge.firmware_host.io.results import LiveResult, Smoother
from s2d_edge.firmware_host.io.sources import Frame, Source
from s2d_edge.firmware_host.pipeline.answering import Answerer, answerer_of
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.messages import Analysed, ClipRequest, FrameSink, Glimpse
from s2d_edge.firmware_host.pipeline.queues import BoundedQueue, QueueClosed, WhenFull
from s2d_edge.firmware_host.pipeline.stats import LiveStats
from s2d_edge.firmware_host.pipeline.tracking import Box, FaceTracker, Seat
from s2d_edge.firmware_host.pipeline.window import ClipWindow, SampledFace
from s2d_edge.media.crop import align_crop
from s2d_edge.media.face import FaceDetector
from s2d_edge.media.sampling import PeriodicSampler

FRAMES_QUEUED = 4
CLIPS_QUEUED = 2
LIVE_CLIPS_QUEUED = 1
RECORD_QUEUED = 8
LIVE_RECORD_QUEUED = 64
LOOKING = "looking for a face"
ANSWERS_KEPT = 256  # of each face: more than frames can be queued behind the newest answer
CAPTURE_JOIN_S = 2.0  # a network stream may hang in a read; nothing depends on its end


@dataclass(slots=True, eq=False)
class _Respondent:
    """The model stage's side of a seat: what it keeps of the face that sits there now."""

    answerer: Answerer
    smoother: Smoother
    track: int = 0

    def turn_to(self, track: int) -> None:
        """Forget the face before, if this is another."""
        if track != self.track:
            self.track = track
            self.answerer.start_over()
            self.smoother.reset()


class Pipeline:
    """Runs a source through an engine until it ends, is stopped, or fails.

    Attributes:
        samples_wanted: of a face before its first answer.
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
    ) -> None:
        self._source = source
        self._detector = detector
        self._engine = engine
        self._recipe = recipe
        self._on_result = on_result
        self._on_end = on_end
        self._frame_sink = frame_sink
        self._sampler = PeriodicSampler(engine.spec.fps)
        self._config = config
        self._respondents = [self._new_respondent()]
        first = self._respondents[0].answerer
        self.samples_wanted = first.request.frames
        self._tracker = FaceTracker(
            [
                ClipWindow(first.request, stride=first.request_stride, gap_s=config.face_gap_s)
                for _ in range(config.max_faces)
            ]
        )
        live = source.live
        policy = WhenFull.DROP_OLDEST if live else WhenFull.WAIT
        self._frames: BoundedQueue[Frame] = BoundedQueue(FRAMES_QUEUED, policy)
        self._clips: BoundedQueue[ClipRequest] = BoundedQueue(
            (LIVE_CLIPS_QUEUED if live else CLIPS_QUEUED) * config.max_faces, policy
        )
        self._record: BoundedQueue[Analysed] = BoundedQueue(
            LIVE_RECORD_QUEUED if live else RECORD_QUEUED, policy
        )
        self._stats = LiveStats()
        self._stopping = False
        self._error: BaseException | None = None
        self._lock = Lock()
        # What the stages tell each other, under ``_answered``.
        self._answered = Condition()
        self._answers: dict[int, LiveResult] = {}
        self._last_ticket = 0
        self._model_done = False
        self._shown: Analysed | None = None
        self._repeated = False
        self._ticket = 0
        stages = [("capture", self._capture), ("face", self._analyse), ("model", self._answer)]
        if frame_sink is not None:
            stages.append(("writer", self._write))
        self._threads = [
            Thread(target=self._guard, args=(work,), name=f"s2d-{name}", daemon=True) for name, work in stages
        ]

    @property
    def repeated_frames(self) -> bool:
        """Whether a short file's frames were repeated to fill its only clip."""
        return self._repeated

    @property
    def running(self) -> bool:
        """Whether any stage still works."""
        return any(thread.is_alive() for thread in self._threads[1:])

    @property
    def stopping(self) -> bool:
        """True once the pipeline was stopped, aborted, or ended by a failure."""
        return self._stopping

    @property
    def owns_current_thread(self) -> bool:
        """True in the threads of the stages."""
        return threading.current_thread() in self._threads

    @property
    def unwritten_frames(self) -> int:
        """Frames of a live source that the writer of the annotated video had no time for."""
        return self._record.dropped

    def start(self) -> None:
        """Start every stage."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no more frames; what is inside is finished."""
        self._stopping = True
        self._source.stop()
        if self._source.live:  # its read may hang: let the other stages end without it
            self._frames.close()
            self._record.close()

    def join(self) -> None:
        """Wait for the end, and raise what went wrong in any stage."""
        self.wait()
        if self._error is not None:
            raise self._error

    def wait(self) -> None:
        """Wait for the end of every stage."""
        capture, *others = self._threads
        for thread in others:
            thread.join()
        capture.join(CAPTURE_JOIN_S)

    def abort(self) -> None:
        """Drop everything and end."""
        self._stopping = True
        self._source.stop()
        for queue in (self._frames, self._clips, self._record):
            queue.abort()
        with self._answered:
            self._model_done = True
            self._answered.notify_all()

    def glimpse(self) -> Glimpse:
        """What there is to see now."""
        counts = self._stats.counts(dropped_frames=self._frames.dropped, dropped_clips=self._clips.dropped)
        shown = self._shown
        return Glimpse(
            frame=shown.frame if shown is not None else None,
            overlay=self._overlay(shown),
            result=self._latest(shown).get(shown.main) if shown is not None else None,
            counts=counts,
        )

    def _guard(self, work: Callable[[], None]) -> None:
        """Run a stage; its failure ends the others."""
        try:
            work()
        except QueueClosed:
            return
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
            self.abort()

    def _capture(self) -> None:
        try:
            for frame in self._source.frames():
                self._stats.frame_came()
                self._frames.put(frame)
                if self._source.live and self._frame_sink is not None:
                    # Every frame is recorded, also those the face search has no time for: with the
                    # newest face and answer, since those of its own are not known yet.
                    shown = self._shown
                    self._record.put(
                        replace(shown, frame=frame)
                        if shown is not None
                        else Analysed(frame, {}, 0, 0, LOOKING)
                    )
        finally:
            self._frames.close()
            if self._source.live:
                self._record.close()

    def _analyse(self) -> None:
        records = self._frame_sink is not None and not self._source.live
        pending: Analysed | None = None
        try:
            while True:
                try:
                    frame = self._frames.get()
                except QueueClosed:
                    break
                analysed = self._analyse_frame(frame)
                self._shown = analysed
                if records:
                    if pending is not None:
                        self._record.put(pending)
                    pending = analysed
            if not self._source.live and not self._stopping and self._ticket == 0:
                self._submit_stretched()
            if pending is not None:  # held back: the last frame of a short file shows its only answer
                self._record.put(replace(pending, ticket=self._ticket))
        finally:
            self._clips.close()
            if not self._source.live:
                self._record.close()

    def _analyse_frame(self, frame: Frame) -> Analysed:
        seen = self._tracker.follow(self._detector.find(frame.picture), frame.t_s)
        self._stats.frame_analysed(face=bool(seen))
        if self._sampler.due(frame.t_s):
            for seat, face in seen:
                crop = align_crop(frame.picture, face.points, self._recipe)
                sample = SampledFace(frame.t_s, frame.index, frame.arrived_s, face.box, crop)
                clip = seat.window.add(sample)
                if clip is not None:
                    self._submit(seat, clip, sample)
        main = self._tracker.main
        return Analysed(
            frame=frame,
            faces={seat.track: face.box for seat, face in seen},
            main=main.track if main is not None else 0,
            ticket=self._ticket,
            status=self._status([seat for seat, _ in seen]),
        )

    def _status(self, seen: list[Seat]) -> str:
        windows = [seat.window for seat in self._tracker.seats]
        if not seen:
            lately = any(window.filled for window in windows)
            return "no face" if lately else f"no face, cleared after {windows[0].gap_s:.1f} s"
        found = "face found" if len(seen) == 1 else f"{len(seen)} faces found"
        filled = min(seat.window.filled for seat in seen)
        return (
            found if filled >= self.samples_wanted else f"{found}, collecting {filled}/{self.samples_wanted}"
        )

    def _submit(self, seat: Seat, clip: Clip, last: SampledFace) -> None:
        self._ticket += 1
        self._clips.put(ClipRequest(self._ticket, seat.number, seat.track, clip, last))

    def _submit_stretched(self) -> None:
        for seat in self._tracker.seats:
            stretched = seat.window.stretched()
            if stretched is not None:
                self._repeated = True
                self._submit(seat, *stretched)

    def _answer(self) -> None:
        try:
            while True:
                self._publish(self._clips.get())
        finally:
            with self._answered:
                self._model_done = True
                self._answered.notify_all()
            if self._on_end is not None:
                self._on_end()

    def _new_respondent(self) -> _Respondent:
        config = self._config
        return _Respondent(answerer_of(self._engine, config.stride), Smoother(config.smooth_s))

    def _respondent(self, request: ClipRequest) -> _Respondent:
        """Whoever answers about the face of ``request``; memory is taken with a seat's first face."""
        while len(self._respondents) <= request.seat:
            self._respondents.append(self._new_respondent())
        respondent = self._respondents[request.seat]
        respondent.turn_to(request.track)
        return respondent

    def _publish(self, request: ClipRequest) -> None:
        respondent = self._respondent(request)
        started_s = time.perf_counter()
        answer = respondent.answerer.answer(request.clip, request.last.t_s)
        done_s = time.perf_counter()
        if answer is None:
            with self._answered:
                self._last_ticket = request.ticket
                self._answered.notify_all()
            return
        logits = answer.logits[0]
        probabilities = respondent.smoother.update(request.last.t_s, softmax(logits))
        labels = self._engine.labels
        result = LiveResult(
            t_s=request.last.t_s,
            frame=request.last.index,
            face=request.last.box,
            track=request.track,
            label=labels[int(probabilities.argmax())],
            probabilities=dict(zip(labels, (float(p) for p in probabilities), strict=True)),
            logits=tuple(float(logit) for logit in logits),
            latency_ms=(done_s - request.last.arrived_s) * 1e3,
            infer_ms=(done_s - started_s) * 1e3,
            dropped=self._frames.dropped,
            dropped_clips=self._clips.dropped,
            warming=answer.warming,
        )
        self._stats.result_came(result.latency_ms, result.infer_ms)
        if self._on_result is not None:
            self._on_result(result)
        with self._answered:
            self._answers[request.ticket] = result
            self._last_ticket = request.ticket
            self._answers.pop(request.ticket - ANSWERS_KEPT * self._config.max_faces, None)
            self._answered.notify_all()

    def _write(self) -> None:
        sink = self._frame_sink
        assert sink is not None
        while True:
            analysed = self._record.get()
            if not self._source.live:
                self._await_answer(analysed.ticket)
            sink.write(analysed.frame, self._overlay(analysed))

    def _await_answer(self, ticket: int) -> None:
        with self._answered:
            self._answered.wait_for(lambda: self._model_done or self._last_ticket >= ticket)

    def _latest(self, analysed: Analysed) -> dict[int, LiveResult]:
        """The newest answer about each face, by track, as of this frame."""
        with self._answered:
            tickets = sorted(ticket for ticket in self._answers if ticket <= analysed.ticket)
            return {self._answers[ticket].track: self._answers[ticket] for ticket in tickets}

    def _overlay(self, analysed: Analysed | None) -> Overlay:
        labels = self._engine.labels
        if analysed is None:
            return Overlay(labels=labels, status=LOOKING)
        latest = self._latest(analysed)
        main = latest.get(analysed.main)
        return Overlay(
            labels=labels,
            faces=tuple(
                _mark(box, latest.get(track), main=track == analysed.main)
                for track, box in analysed.faces.items()
            ),
            label=main.label if main is not None else None,
            probabilities=main.probabilities if main is not None else {},
            status=analysed.status,
        )


def _mark(box: Box, result: LiveResult | None, *, main: bool) -> FaceMark:
    if result is None:
        return FaceMark(box=box, main=main)
    return FaceMark(box=box, label=result.label, share=result.probabilities[result.label], main=main)
