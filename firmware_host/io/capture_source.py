"""Cameras and network streams as a source of frames, which reopens a lost connection."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import cv2
import numpy as np

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io.source import Frame, SourceState
from s2d_edge.media.crop import Picture
from s2d_edge.media.video import MAX_PLAUSIBLE_FPS

RECONNECT_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
OPEN_TIMEOUT_MS = 10_000
READ_TIMEOUT_MS = 5_000


class Capture(Protocol):
    """One connection to a camera or stream.

    Attributes:
        fps: nominal rate; None when unknown.
        finite: True for a recording with an end, such as a video file behind http.
    """

    @property
    def fps(self) -> float | None: ...
    @property
    def finite(self) -> bool: ...

    def read(self) -> tuple[float, Picture] | None:
        """The next frame with its container timestamp in seconds; None when the connection is lost."""
        ...

    def release(self) -> None:
        """Close the connection."""
        ...


class CaptureSource:
    """A camera or network stream; a lost connection is reopened, with growing pauses between attempts."""

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
                the last one repeats.

        Raises:
            MediaError: the first connection fails, which is more likely a wrong address than a lost line.
        """
        self.name = name
        self.state = SourceState.OPENING
        self._connect = connect
        self._reconnect_after_s = reconnect_after_s or RECONNECT_AFTER_S
        self._stopped = Event()
        self._capture: Capture | None = connect()
        self._finite = self._capture.finite
        self._fps = self._capture.fps

    @property
    def live(self) -> bool:
        """False for a recording with an end."""
        return not self._finite

    @property
    def fps(self) -> float | None:
        """Nominal rate of the first connection."""
        return self._fps

    def frames(self) -> Iterator[Frame]:
        """Frames of this and every later connection; indices and the clock continue across connections.

        Raises:
            MediaError: the connection delivered no frame at all.
        """
        index, first_s = 0, 0.0
        try:
            while not self._stopped.is_set():
                got = self._capture.read() if self._capture is not None else None
                if got is None:
                    if self._finite or not self._reconnected():
                        break
                    continue
                stamp_s, picture = got
                arrived_s = time.perf_counter()
                if index == 0:
                    self.state = SourceState.PLAYING
                    first_s = arrived_s
                yield Frame(index, stamp_s if self._finite else arrived_s - first_s, picture, arrived_s)
                index += 1
            if index == 0 and not self._stopped.is_set():
                raise MediaError(
                    f"{self.name} opened but delivered no frame; check that it is a video or a running camera"
                )
        finally:
            self.state = SourceState.ENDED
            self._drop_connection()

    def stop(self) -> None:
        """End after the current frame, or at once while reconnecting."""
        self._stopped.set()

    def _drop_connection(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _reconnected(self) -> bool:
        """Reopen the connection; False if stopped meanwhile."""
        self.state = SourceState.RECONNECTING
        self._drop_connection()
        attempt = 0
        while not self._stopped.wait(self._reconnect_after_s[min(attempt, len(self._reconnect_after_s) - 1)]):
            attempt += 1
            try:
                self._capture = self._connect()
            except MediaError:
                continue
            self.state = SourceState.PLAYING
            return True
        return False


class OpenCVCapture:
    """A connection through OpenCV: V4L2 and its like for cameras, FFmpeg for URLs."""

    def __init__(self, address: int | str, name: str) -> None:
        """Open camera number or address.

        Raises:
            MediaError: it does not open.
        """
        if isinstance(address, int) or address.startswith("/dev/"):
            self._capture: Any = cv2.VideoCapture(address)
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # fresh frames, where the driver allows
            self.finite = False
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
            self.finite = float(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)) > 0
            advice = "check the address, the password and the network"
        if not self._capture.isOpened():
            self._capture.release()
            raise MediaError(f"{name} cannot be opened; {advice}{_cameras_present(address)}")

    @property
    def fps(self) -> float | None:
        """Frames per second as the driver or container says."""
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        return fps if 0 < fps <= MAX_PLAUSIBLE_FPS else None

    def read(self) -> tuple[float, Picture] | None:
        """The next frame, RGB."""
        decoded, frame = self._capture.read()
        if not decoded:
            return None
        stamp_s = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
        picture: Picture = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        return stamp_s if np.isfinite(stamp_s) else 0.0, picture

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
    return (
        f" (this machine has {', '.join(f'camera {n}' for n in numbers)})"
        if numbers
        else (" (this machine has no camera)")
    )
