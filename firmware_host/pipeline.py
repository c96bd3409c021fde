"""The stages capture -> face -> clip -> model -> sinks, each where it keeps the others from waiting.

Capture, face search (with the clip window), the model, and the writer of annotated frames have a thread
each. A live source drops the oldest frame when the face search is busy and the oldest clip when the model
is; a file waits. The writer of a file's frames waits for the answer that belongs to each frame, so the
same file gives the same annotated video.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from threading import Condition, Lock, Thread

from firmware_host.annotate import Overlay
from firmware_host.answering import answerer_of
from firmware_host.messages import Analysed, ClipRequest, FrameSink, Glimpse, PipelineConfig
from firmware_host.queues import BoundedQueue, QueueClosed, WhenFull
from firmware_host.results import LiveResult, Smoother
from firmware_host.sources import Frame, Source
from firmware_host.stats import LiveStats
from firmware_host.window import ClipWindow, FaceKeeper, SampledFace
from s2d_edge.engine import Clip, Engine, softmax
from s2d_edge.face import FaceDetector
from s2d_edge.preprocess import CropRecipe, align_crop
from s2d_edge.sampling import PeriodicSampler

FRAMES_QUEUED = 4
CLIPS_QUEUED = 2
LIVE_CLIPS_QUEUED = 1
RECORD_QUEUED = 8
LIVE_RECORD_QUEUED = 64
LOOKING = "looking for a face"
ANSWERS_KEPT = 256  # more than frames can be queued behind the newest answer
CAPTURE_JOIN_S = 2.0  # a network stream may hang in a read; nothing depends on its end


class Pipeline:
    """Runs a source through an engine until it ends, is stopped, or fails."""

    def __init__(
        self,
        *,
        source: Source,
        detector: FaceDetector,
        engine: Engine,
        recipe: CropRecipe,
        config: PipelineConfig,
        on_result: Callable[[LiveResult], None] | None = None,
        frame_sink: FrameSink | None = None,
    ) -> None:
        self._source = source
        self._detector = detector
        self._engine = engine
        self._recipe = recipe
        self._on_result = on_result
        self._frame_sink = frame_sink
        self._sampler = PeriodicSampler(engine.spec.fps)
        self._answerer = answerer_of(engine, config.stride)
        self._window = ClipWindow(
            self._answerer.request, stride=self._answerer.request_stride, gap_s=config.face_gap_s
        )
        self._keeper = FaceKeeper()
        self._smoother = Smoother(config.smooth_s)
        live = source.live
        policy = WhenFull.DROP_OLDEST if live else WhenFull.WAIT
        self._frames: BoundedQueue[Frame] = BoundedQueue(FRAMES_QUEUED, policy)
        self._clips: BoundedQueue[ClipRequest] = BoundedQueue(
            LIVE_CLIPS_QUEUED if live else CLIPS_QUEUED, policy
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
        self._first_ticket = 1
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
        capture, *others = self._threads
        for thread in others:
            thread.join()
        capture.join(CAPTURE_JOIN_S)
        if self._error is not None:
            raise self._error

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
        result = self._latest(shown)
        return Glimpse(
            frame=shown.frame if shown is not None else None,
            overlay=self._overlay(shown, result),
            result=result,
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
                        else Analysed(frame, None, range(0), LOOKING)
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
                tickets = range(pending.tickets.start, self._ticket + 1)
                self._record.put(replace(pending, tickets=tickets))
        finally:
            self._clips.close()
            if not self._source.live:
                self._record.close()

    def _analyse_frame(self, frame: Frame) -> Analysed:
        face, other_person = self._keeper.choose(self._detector.find(frame.picture))
        self._stats.frame_analysed(face=face is not None)
        expired = self._window.expire(frame.t_s)
        if other_person or expired:
            self._start_over()
        if expired and face is None:
            self._keeper.forget()
        if self._sampler.due(frame.t_s) and face is not None:
            crop = align_crop(frame.picture, face.points, self._recipe)
            sample = SampledFace(frame.t_s, frame.index, frame.arrived_s, face.box, crop)
            clip = self._window.add(sample)
            if clip is not None:
                self._submit(clip, sample)
        return self._note(frame, face.box if face is not None else None)

    def _note(self, frame: Frame, face: tuple[int, int, int, int] | None) -> Analysed:
        filled, wanted = self._window.filled, self._answerer.request.frames
        if face is None:
            status = "no face" if filled else f"no face, cleared after {self._window.gap_s:.1f} s"
        elif filled < wanted:
            status = f"face found, collecting {filled}/{wanted}"
        else:
            status = "face found"
        return Analysed(frame, face, range(self._first_ticket, self._ticket + 1), status)

    def _start_over(self) -> None:
        """What comes now is about another face: forget samples and answers."""
        self._window.clear()
        self._first_ticket = self._ticket + 1

    def _submit(self, clip: Clip, last: SampledFace) -> None:
        self._ticket += 1
        self._clips.put(ClipRequest(self._ticket, self._first_ticket, clip, last))

    def _submit_stretched(self) -> None:
        stretched = self._window.stretched()
        if stretched is not None:
            self._repeated = True
            self._submit(*stretched)

    def _answer(self) -> None:
        first_ticket = 1
        try:
            while True:
                request = self._clips.get()
                if request.first_ticket != first_ticket:
                    self._smoother.reset()
                    self._answerer.start_over()
                    first_ticket = request.first_ticket
                self._publish(request)
        finally:
            with self._answered:
                self._model_done = True
                self._answered.notify_all()

    def _publish(self, request: ClipRequest) -> None:
        started_s = time.perf_counter()
        answer = self._answerer.answer(request.clip, request.last.t_s)
        done_s = time.perf_counter()
        if answer is None:
            with self._answered:
                self._last_ticket = request.ticket
                self._answered.notify_all()
            return
        logits = answer.logits[0]
        probabilities = self._smoother.update(request.last.t_s, softmax(logits))
        labels = self._engine.labels
        result = LiveResult(
            t_s=request.last.t_s,
            frame=request.last.index,
            face=request.last.box,
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
            self._answers.pop(request.ticket - ANSWERS_KEPT, None)
            self._answered.notify_all()

    def _write(self) -> None:
        sink = self._frame_sink
        assert sink is not None
        while True:
            analysed = self._record.get()
            if not self._source.live:
                self._await_answer(analysed.tickets.stop - 1)
            sink.write(analysed.frame, self._overlay(analysed, self._latest(analysed)))

    def _await_answer(self, ticket: int) -> None:
        with self._answered:
            self._answered.wait_for(lambda: self._model_done or self._last_ticket >= ticket)

    def _latest(self, analysed: Analysed | None) -> LiveResult | None:
        """The newest answer about this frame's face; None when there is none yet."""
        if analysed is None:
            return None
        with self._answered:
            known = [ticket for ticket in self._answers if ticket in analysed.tickets]
            return self._answers[max(known)] if known else None

    def _overlay(self, analysed: Analysed | None, result: LiveResult | None) -> Overlay:
        labels = self._engine.labels
        if analysed is None:
            return Overlay(labels=labels, status=LOOKING)
        return Overlay(
            labels=labels,
            face=analysed.face,
            label=result.label if result is not None else None,
            probabilities=result.probabilities if result is not None else {},
            status=analysed.status,
        )
