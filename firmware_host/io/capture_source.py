"""Cameras and network streams as a source of frames, which reopens a lost connection."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event
from typing import Protocol

import cv2

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io.source import Frame, SourceState
from s2d_edge.media.crop import Picture
from s2d_edge.media.video import FALLBACK_FPS, FrameClock, is_cut_short

RECONNECT_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
MOST_UNREADABLE = 50  # in a row, before the connection is opened again
# A recording that ends at one frame so often again, read from its begin, ends there for good.
_SAME_END = 2
_SAME_FRAME = 0.1  # of a frame's time


class Capture(Protocol):
    """One connection to a camera or stream.

    Attributes:
        fps: nominal rate; None when unknown.
        recording: True for a video file behind http, which is read at any pace and can be read again.
        frames: number of frames that are promised until the end; 0 when the end is not known.
        shown: of a recording, the share of these that it shows; less than 1 where it was trimmed.
        missing_end: of a recording, what its file lacks at its end, in words; mostly empty.
    """

    @property
    def fps(self) -> float | None: ...
    @property
    def recording(self) -> bool: ...
    @property
    def frames(self) -> int: ...
    @property
    def shown(self) -> float: ...
    @property
    def missing_end(self) -> str: ...

    def read(self) -> tuple[float, Picture] | None:
        """The next frame with its timestamp in seconds; None at the end, or when the line is lost."""
        ...

    def release(self) -> None:
        """Close the connection."""
        ...


class CaptureSource:
    """A camera or network stream; a lost connection is reopened, with growing pauses between attempts.

    A recording that breaks off is read on from where it broke off, as long as every connection brings it
    further. A stream whose server names a length ends only when it has come to that length.

    Attributes:
        unreadable: frames of a live source so far that could not be decoded.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Capture],
        *,
        reconnect_after_s: tuple[float, ...] | None = None,
    ) -> None:
        """Connect for the first time.

        Args:
            name: for people.
            connect: opens a connection, or raises MediaError.
            reconnect_after_s: pauses before each attempt in a row, seconds, by default RECONNECT_AFTER_S;
                the last one repeats for a live source, and ends a recording.

        Raises:
            MediaError: the first connection fails, which is more likely a wrong address than a lost line.
        """
        self.name = name
        self.state = SourceState.OPENING
        self.unreadable = 0
        self._connect = connect
        self._reconnect_after_s = reconnect_after_s or RECONNECT_AFTER_S
        self._stopped = Event()
        self._capture: Capture | None = connect()
        self._recording = self._capture.recording
        self._fps = self._capture.fps

    @property
    def live(self) -> bool:
        """False for a recording with an end."""
        return not self._recording

    @property
    def fps(self) -> float | None:
        """Nominal rate of the first connection."""
        return self._fps

    def frames(self) -> Iterator[Frame]:
        """Frames of this and every later connection; indices and the clock continue across connections.

        Raises:
            MediaError: the connection delivered no frame at all, or a recording broke off for good.
        """
        try:
            index = 0
            for t_s, picture, arrived_s in self._recorded() if self._recording else self._lived():
                self.state = SourceState.PLAYING
                yield Frame(index, t_s, picture, arrived_s)
                index += 1
                if self._stopped.is_set():
                    break
            if index == 0 and not self._stopped.is_set():
                raise MediaError(
                    f"{self.name} opened but delivered no frame; check that it is a video or a running camera"
                )
        finally:
            self.state = SourceState.ENDED
            self._drop_connection()

    def _lived(self) -> Iterator[tuple[float, Picture, float]]:
        """Time since the first frame, picture and arrival of every frame of a live source."""
        first_s: float | None = None
        while (capture := self._capture) is not None and not self._stopped.is_set():
            came = 0
            while not self._stopped.is_set() and (got := self._read(capture)) is not None:
                arrived_s = time.perf_counter()
                first_s = arrived_s if first_s is None else first_s
                came += 1
                yield arrived_s - first_s, got[1], arrived_s
            # More frames than promised: the length is made up, as some cameras do.
            if 0 < came <= capture.frames and not is_cut_short(capture.frames, came):
                return
            if not self._reconnected():
                return

    def _read(self, capture: Capture) -> tuple[float, Picture] | None:
        """The next frame that can be decoded; None when the line is lost, or too many in a row cannot."""
        for _ in range(MOST_UNREADABLE):
            try:
                return capture.read()
            except cv2.error:
                self.unreadable += 1
        return None

    def _recorded(self) -> Iterator[tuple[float, Picture, float]]:
        """Time in the recording, picture and arrival of every frame of one, however often it breaks off."""
        last_s, came = float("-inf"), 0
        in_vain = 0
        while (capture := self._capture) is not None and not self._stopped.is_set():
            fps = capture.fps or FALLBACK_FPS
            clock, before = FrameClock(fps), came
            came_now = 0
            while not self._stopped.is_set() and (got := capture.read()) is not None:
                t_s = clock.time_of(got[0])
                came_now += 1
                if t_s > last_s + _SAME_FRAME / fps:  # others came with an earlier connection
                    last_s = t_s
                    came += 1
                    yield t_s, got[1], time.perf_counter()
            if self._stopped.is_set() or came == 0:
                return
            if not _is_short(capture, came, last_s, fps):
                if missing := capture.missing_end:
                    raise MediaError(
                        f"{self.name} is cut short after {came} frames: {missing}; copy or record it again"
                    )
                return
            in_vain = 0 if came > before else in_vain + 1
            most = _SAME_END if came_now == came else len(self._reconnect_after_s)
            if in_vain < most and self._reconnected(giving_up=True):
                continue
            if not self._stopped.is_set():
                raise MediaError(
                    f"{self.name} breaks off: {came} of the {capture.frames} frames it promises came; "
                    "check the server and the network, or download the file and run that"
                )
            return

    def stop(self) -> None:
        """End after the current frame, or at once while reconnecting."""
        self._stopped.set()

    def _drop_connection(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _reconnected(self, *, giving_up: bool = False) -> bool:
        """Reopen the connection.

        Args:
            giving_up: stop when every pause was taken once; otherwise go on until :meth:`stop`.

        Returns:
            False if stopped meanwhile, or given up.
        """
        self.state = SourceState.RECONNECTING
        self._drop_connection()
        pauses_s = self._reconnect_after_s
        for attempt in itertools.count():
            if giving_up and attempt == len(pauses_s):
                return False
            if self._stopped.wait(pauses_s[min(attempt, len(pauses_s) - 1)]):
                return False
            with suppress(MediaError):
                self._capture = self._connect()
                return True
        raise AssertionError("counting has no end")


def _is_short(capture: Capture, came: int, last_s: float, fps: float) -> bool:
    """Tell whether a recording broke off; what it shows is looked up only where it seems so."""
    if not is_cut_short(capture.frames, came, last_s=last_s, fps=fps):
        return False
    return is_cut_short(round(capture.frames * capture.shown), came, last_s=last_s, fps=fps)
