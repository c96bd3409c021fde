"""The capture stage: frames from the source into the queue of the face search."""

from __future__ import annotations

from collections.abc import Callable

from s2d_edge.firmware_host.io.source import Frame, Source
from s2d_edge.firmware_host.pipeline.board import Board
from s2d_edge.firmware_host.pipeline.messages import SearchedFrame
from s2d_edge.firmware_host.pipeline.queues import BoundedQueue
from s2d_edge.firmware_host.pipeline.stage import Stage
from s2d_edge.firmware_host.pipeline.stats import LiveStats


class CaptureStage(Stage):
    """Reads the source to its end."""

    def __init__(
        self,
        source: Source,
        frames: BoundedQueue[Frame],
        *,
        record: BoundedQueue[SearchedFrame] | None,
        board: Board,
        stats: LiveStats,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """Prepare to read.

        Args:
            source: read in the thread of this stage only.
            frames: output, for the face search; closed at the end.
            record: second output, for the annotated video of a live source; closed at the end.
            board: holds the newest faces and results, which are drawn on recorded frames.
            stats: counts the frames.
            on_failure: see :class:`Stage`.
        """
        super().__init__("capture", on_failure)
        self._source = source
        self._frames = frames
        self._record = record
        self._board = board
        self._stats = stats

    def work(self) -> None:
        """Hand on every frame until the source ends or the output is closed."""
        try:
            for frame in self._source.frames():
                self._frames.put(frame)
                self._stats.frame_came()
                if self._record is not None:
                    # Every frame of a camera is recorded, also those that the face search has no time for,
                    # with the newest faces and results, since its own are not known yet.
                    self._record.put(self._board.with_newest_faces(frame))
        finally:
            self._frames.close()
            if self._record is not None:
                self._record.close()
