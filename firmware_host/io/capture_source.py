"""Cameras and network streams as a source of frames, which reopens a lost connection."""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import cv2

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io.source import Frame, SourceState
from s2d_edge.media.crop import Picture
from s2d_edge.media.opencv_decoder import (
    NOT_IN_OPENCV,
    fourcc_of,
    layout_of,
    nominal_fps,
    promised_frames,
    read_frame,
)
from s2d_edge.media.video import FALLBACK_FPS, MAX_PLAUSIBLE_FPS, FrameClock, is_cut_short

RECONNECT_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
MOST_UNREADABLE = 50  # in a row, before the connection is opened anew
OPEN_TIMEOUT_MS = 10_000
READ_TIMEOUT_MS = 5_000
# A recording that ends at one frame so often again, read from its begin, ends there for good.
_SAME_END = 2
_SAME_FRAME = 0.1  # of a frame's time


class Capture(Protocol):
    """One connection to a camera or stream.

    Attributes:
        fps: nominal rate; None when unknown.
        recording: True for a video file behind http, which is read at any pace and can be read again.
        frames: number of frames that are promised until the end; 0 when the end is not known.
    """

    @property
    def fps(self) -> float | None: ...
    @property
    def recording(self) -> bool: ...
    @property
    def frames(self) -> int: ...

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
            if not is_cut_short(capture.frames, came, last_s=last_s, fps=fps):
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


class OpenCVCapture:
    """A connection through OpenCV: V4L2 and its like for cameras, FFmpeg for URLs."""

    def __init__(self, address: int | str, name: str) -> None:
        """Open camera number or address.

        Raises:
            MediaError: it does not open, or OpenCV lacks its codec.
        """
        if isinstance(address, int) or address.startswith("/dev/"):
            self._capture: Any = cv2.VideoCapture(address)
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # fresh frames, where the driver allows
            self.recording, self.frames = False, 0
            advice = "check that it is plugged in, free, and that you may read it"
        else:
            self._capture = cv2.VideoCapture(
                address,
                cv2.CAP_FFMPEG,
                [
                    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                    OPEN_TIMEOUT_MS,
                    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                    READ_TIMEOUT_MS,
                ],
            )
            self.frames = promised_frames(self._capture)
            # Other protocols are paced by the server, which may name a length all the same.
            self.recording = self.frames > 0 and address.lower().startswith(("http://", "https://"))
            advice = "check the address, the password and the network"
        if not self._capture.isOpened():
            self._capture.release()
            raise MediaError(f"{name} cannot be opened; {advice}{_cameras_present(address)}")
        self._layout = layout_of(self._capture)
        self._first: tuple[float, Picture] | None = None
        codec = NOT_IN_OPENCV.get(fourcc_of(self._capture).lower())
        if codec is not None:  # some builds of OpenCV decode it all the same
            self._first = read_frame(self._capture, self._layout)
            if self._first is None:
                self._capture.release()
                raise MediaError(
                    f"{name} is coded as {codec}, which this OpenCV cannot decode; set the camera to "
                    "H.264 or H.265, or download a recording and run the file"
                )

    @property
    def fps(self) -> float | None:
        """Frames per second as the driver or container says."""
        fps = nominal_fps(self._capture)
        return fps if 0 < fps <= MAX_PLAUSIBLE_FPS else None

    def read(self) -> tuple[float, Picture] | None:
        """The next frame, RGB, upright and with square pixels."""
        first, self._first = self._first, None
        return first or read_frame(self._capture, self._layout)

    def release(self) -> None:
        """Close the device or connection."""
        self._capture.release()


def _cameras_present(address: int | str) -> str:
    """List the cameras of this machine, where the system shows them; for the end of a message."""
    if not isinstance(address, int) or not sys.platform.startswith("linux"):
        return ""
    numbers = sorted(
        int(found.group(1))
        for file in Path("/dev").glob("video*")
        if (found := re.fullmatch(r"video(\d+)", file.name))
    )
    present = ", ".join(f"camera {number}" for number in numbers) or "no camera"
    return f" (this machine has {present})"
