"""State that the threads of a pipeline share behind one lock: newest frame, results, failure, end."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from threading import Condition

from s2d_edge.firmware_host.io.results import LiveResult
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.io.view import Counts, FaceMark, Overlay, Snapshot
from s2d_edge.firmware_host.pipeline.messages import LOOKING, SearchedFrame
from s2d_edge.media.tracking import Box


class Board:
    """Holds the newest searched frame and the newest results; any thread may call every method."""

    def __init__(self, labels: tuple[str, ...], results_kept: int) -> None:
        """Start empty.

        Args:
            labels: every class, in the model's order.
            results_kept: tickets after which a result is forgotten, unless it is the newest about a face
                that is followed still.
        """
        self._changed = Condition()
        self._labels = labels
        self._results_kept = results_kept
        self._newest: SearchedFrame | None = None
        self._results: dict[int, deque[tuple[int, LiveResult]]] = {}  # (ticket, result), by track
        self._order: deque[tuple[int, int]] = deque()  # (ticket to forget it by, track), one for each result
        self._last_ticket = 0
        self._results_ended = False
        self._repeated_frames = False
        self._stopping = False
        self._error: BaseException | None = None

    @property
    def stopping(self) -> bool:
        """True once the pipeline was stopped, aborted, or ended by a failure."""
        with self._changed:
            return self._stopping

    @property
    def error(self) -> BaseException | None:
        """The first failure of any stage."""
        with self._changed:
            return self._error

    @property
    def repeated_frames(self) -> bool:
        """True if the frames of a short file were repeated to fill its only clip."""
        with self._changed:
            return self._repeated_frames

    def stop(self) -> None:
        """Note that no more frames are wanted."""
        with self._changed:
            self._stopping = True

    def fail(self, error: BaseException) -> None:
        """Note a failure, unless there was one before."""
        with self._changed:
            self._error = self._error or error

    def note_repeated_frames(self) -> None:
        """Note that the frames of a short file are repeated."""
        with self._changed:
            self._repeated_frames = True

    def put_frame(self, searched: SearchedFrame) -> None:
        """Replace the newest searched frame."""
        with self._changed:
            self._newest = searched

    def with_newest_faces(self, frame: Frame) -> SearchedFrame:
        """Mark a frame that was not searched with the faces of the newest one that was."""
        with self._changed:
            return SearchedFrame(frame) if self._newest is None else replace(self._newest, frame=frame)

    def put_result(self, ticket: int, result: LiveResult | None) -> None:
        """Add the result of a request; None where the stride wants none. Tickets rise."""
        with self._changed:
            if result is not None:
                self._results.setdefault(result.track, deque()).append((ticket, result))
                self._order.append((ticket, result.track))
            self._forget_results(ticket)
            self._last_ticket = ticket
            self._changed.notify_all()

    def end_results(self) -> None:
        """Note that no more results come; nobody waits for one any longer."""
        with self._changed:
            self._results_ended = True
            self._changed.notify_all()

    def wait_for_result(self, ticket: int) -> None:
        """Wait until a request and all before it are done, or no more results come."""
        with self._changed:
            self._changed.wait_for(lambda: self._results_ended or self._last_ticket >= ticket)

    def overlay(self, searched: SearchedFrame) -> Overlay:
        """Faces and predictions to draw on a searched frame, with the newest results up to it."""
        with self._changed:
            return self._overlay(searched)

    def snapshot(self, counts: Counts) -> Snapshot:
        """The newest searched frame with its results, and the given counts."""
        with self._changed:
            newest = self._newest
            if newest is None:
                overlay = Overlay(labels=self._labels, status=LOOKING)
                return Snapshot(frame=None, overlay=overlay, result=None, counts=counts)
            return Snapshot(
                frame=newest.frame,
                overlay=self._overlay(newest),
                result=self._newest_result(newest.main, newest.ticket),
                counts=counts,
            )

    def _forget_results(self, ticket: int) -> None:
        """Forget what no frame on its way can want any more, in the order in which it came."""
        while self._order and self._order[0][0] <= ticket - self._results_kept:
            _, track = self._order.popleft()
            kept = self._results[track]
            if len(kept) > 1:
                kept.popleft()
            elif self._newest is not None and (track in self._newest.faces or track == self._newest.main):
                self._order.append((ticket, track))  # a long stride: nothing newer came yet
            else:
                del self._results[track]

    def _newest_result(self, track: int, ticket: int) -> LiveResult | None:
        """The newest result about a face up to a ticket."""
        for at, result in reversed(self._results.get(track, ())):
            if at <= ticket:
                return result
        return None

    def _overlay(self, searched: SearchedFrame) -> Overlay:
        main = self._newest_result(searched.main, searched.ticket)
        return Overlay(
            labels=self._labels,
            faces=tuple(
                _mark(box, self._newest_result(track, searched.ticket), main=track == searched.main)
                for track, box in searched.faces.items()
            ),
            label=main.label if main is not None else None,
            probabilities=main.probabilities if main is not None else {},
            status=searched.status,
        )


def _mark(box: Box, result: LiveResult | None, *, main: bool) -> FaceMark:
    if result is None:
        return FaceMark(box=box, main=main)
    return FaceMark(box=box, label=result.label, share=result.probabilities[result.label], main=main)
