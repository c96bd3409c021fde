"""The face stage: finds the faces in the frames, follows them, and hands on clips of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.pipeline.board import Board
from s2d_edge.firmware_host.pipeline.faults import Faults
from s2d_edge.firmware_host.pipeline.following import FaceFollower
from s2d_edge.firmware_host.pipeline.messages import ClipRequest, SearchedFrame
from s2d_edge.firmware_host.pipeline.queues import BoundedQueue
from s2d_edge.firmware_host.pipeline.stage import Stage
from s2d_edge.firmware_host.pipeline.stats import LiveStats
from s2d_edge.media.tracking import Sighting


class FaceStage(Stage):
    """Searches the frames it gets, as far as they need it."""

    def __init__(
        self,
        frames: BoundedQueue[Frame],
        requests: BoundedQueue[ClipRequest],
        *,
        follower: FaceFollower,
        samples_wanted: int,
        repeat_short: bool,
        record: BoundedQueue[SearchedFrame] | None,
        board: Board,
        stats: LiveStats,
        faults: Faults,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """Prepare to search.

        Args:
            frames: input.
            requests: output, for the model; closed at the end.
            follower: finds and follows the faces; used in the thread of this stage only.
            samples_wanted: samples of a face before its first result.
            repeat_short: repeat the frames of a source that ends before its first clip.
            record: second output, for the annotated video of a file; closed at the end.
            board: gets every searched frame.
            stats: counts the searched frames.
            faults: counts those that could not be searched.
            on_failure: see :class:`Stage`.
        """
        super().__init__("face", on_failure)
        self._frames = frames
        self._requests = requests
        self._follower = follower
        self._samples_wanted = samples_wanted
        self._repeat_short = repeat_short
        self._record = record
        self._board = board
        self._stats = stats
        self._faults = faults

    def work(self) -> None:
        """Search every frame; at the end, make the only clip of a short source."""
        pending: SearchedFrame | None = None
        try:
            for frame in self._frames:
                searched = self._faults.attempt(partial(self._search, frame))
                if searched is None:
                    continue
                self._board.put_frame(searched)
                if self._record is not None:
                    if pending is not None:
                        self._record.put(pending)
                    pending = searched
            if self._repeat_short and not self._board.stopping and self._follower.clips.ticket == 0:
                for request in self._follower.clips.take_short():
                    self._board.note_repeated_frames()
                    self._requests.put(request)
            if self._record is not None and pending is not None:
                # Held back until now: the last frame of a short file shows its only result.
                self._record.put(replace(pending, ticket=self._follower.clips.ticket))
        finally:
            self._requests.close()
            if self._record is not None:
                self._record.close()

    def _search(self, frame: Frame) -> SearchedFrame:
        waited_ms = (time.perf_counter() - frame.arrived_s) * 1e3
        followed = self._follower.follow(frame)
        if followed is None:
            self._stats.frame_passed_over()
            return self._board.with_newest_faces(frame)
        sightings = followed.sightings
        self._stats.frame_analysed(face=bool(sightings))
        self._stats.took("search", followed.search_ms)
        if followed.sampled:
            self._stats.took("wait for search", waited_ms)
            self._stats.took("crop", followed.crop_ms)
        for request in followed.requests:
            self._requests.put(request)
        return SearchedFrame(
            frame=frame,
            faces={sighting.track: sighting.face.box for sighting in sightings},
            main=self._follower.tracker.main,
            ticket=self._follower.clips.ticket,
            status=self._status(sightings),
        )

    def _status(self, sightings: Sequence[Sighting]) -> str:
        if not sightings:
            if any(self._follower.clips.filled()):
                return "no face"
            return f"no face, cleared after {self._follower.tracker.gap_s:g} s"
        found = "face found" if len(sightings) == 1 else f"{len(sightings)} faces found"
        filled = min(self._follower.clips.filled(sighting.seat for sighting in sightings))
        wanted = self._samples_wanted
        return found if filled >= wanted else f"{found}, collecting {filled}/{wanted}"
