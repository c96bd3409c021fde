"""The record stage: frames of the source, with what is to be drawn on them, into the annotated video."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.io.view import Overlay
from s2d_edge.firmware_host.pipeline.board import Board
from s2d_edge.firmware_host.pipeline.messages import SearchedFrame
from s2d_edge.firmware_host.pipeline.queues import BoundedQueue
from s2d_edge.firmware_host.pipeline.stage import Stage


class FrameSink(Protocol):
    """Takes every frame of the source, in order, with what is to be drawn on it."""

    def write(self, frame: Frame, overlay: Overlay) -> None:
        """Take one frame."""
        ...


class RecordStage(Stage):
    """Writes every frame it gets."""

    def __init__(
        self,
        record: BoundedQueue[SearchedFrame],
        sink: FrameSink,
        *,
        wait_for_results: bool,
        board: Board,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """Prepare to write.

        Args:
            record: input.
            sink: written in the thread of this stage only.
            wait_for_results: write a frame only when its own results are there, so that the same file
                always gives the same video.
            board: holds the results.
            on_failure: see :class:`Stage`.
        """
        super().__init__("writer", on_failure)
        self._record = record
        self._sink = sink
        self._wait_for_results = wait_for_results
        self._board = board

    def work(self) -> None:
        """Write every frame until there are no more."""
        for searched in self._record:
            if self._wait_for_results:
                self._board.wait_for_result(searched.ticket)
            self._sink.write(searched.frame, self._board.overlay(searched))
