"""Where frames come from: video files, cameras and network streams, each an explicit state machine."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Event
from typing import Any, Protocol
from urllib.parse import urlsplit

import cv2
import numpy as np

from s2d_edge.core.errors import ConfigError, MediaError
from s2d_edge.media.crop import Picture
from s2d_edge.media.video import MAX_PLAUSIBLE_FPS, probe_video, read_video

URL_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "udp", "tcp", "srt")
RECONNECT_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
OPEN_TIMEOUT_MS = 10_000
READ_TIMEOUT_MS = 5_000


class SourceState(Enum):
    """OPENING -> PLAYING -> ENDED; a live source goes between PLAYING and RECONNECTING."""

    OPENING = "opening"
    PLAYING = "playing"
    RECONNECTING = "lost, reconnecting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame as it came.

    Attributes:
        index: counts from 0 over everything the source delivered.
        t_s: seconds on the source's clock; for a live source, since its first frame.
        picture: (H, W, 3) uint8 RGB.
        arrived_s: ``time.perf_counter()`` when it was decoded.
    """

    index: int
    t_s: float
    picture: Picture
    arrived_s: float


class Source(Protocol):
    """A stream of frames.

    Attributes:
        name: for people; holds no password.
        live: True when frames come whether or not anybody is ready for them.
        fps: nominal frames per second; None when unknown.
        state: where in its life it is.
    """

    @property
    def name(self) -> str: ...
    @property
    def live(self) -> bool: ...
    @property
    def fps(self) -> float | None: ...
    @property
    def state(self) -> SourceState: ...

    def frames(self) -> Iterator[Frame]:
        """Every frame until the end of the source or :meth:`stop`; called once.

        Raises:
            MediaError: the source cannot be read to its end.
        """
        ...

    def stop(self) -> None:
        """End :meth:`frames` after the current frame; from any thread."""
        ...


class FileSource:
    """A video file, complete and in order, on its own clock."""

    live = False

    def __init__(self, path: Path) -> None:
        """Probe the file.

        Raises:
            MediaError: missing, empty, or not a video.
        """
        self._path = path
        self._info = probe_video(path)
        self._stopped = Event()
        self.state = SourceState.OPENING

    @property
    def name(self) -> str:
        """The path as given."""
        return str(self._path)

    @property
    def fps(self) -> float | None:
        """Of the container, or measured."""
        return self._info.fps

    def frames(self) -> Iterator[Frame]:
        """Every frame of the file."""
        self.state = SourceState.PLAYING
        for index, (t_s, picture) in enumerate(read_video(self._path)):
            if self._stopped.is_set():
                break
            yield Frame(index, t_s, picture, time.perf_counter())
        self.state = SourceState.ENDED

    def stop(self) -> None:
        """End after the current frame."""
        self._stopped.set()


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
    """A camera or network stream; when it is lost it is reopened, ever more patiently."""

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
            reconnect_after_s: pauses before each attempt in a row, by default RECONNECT_AFTER_S; the last one
                repeats.

        Raises:
            MediaError: the first connection fails: more likely a wrong address than a hiccup.
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
        """Frames of this and every later connection; indices and the clock run on."""
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
                raise MediaError(f"{self.name} opened but delivered no frame; is it a video?")
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
        """Reopen the connection; False when stopped meanwhile."""
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
        """As the driver or container says."""
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


def open_camera(index: int) -> CaptureSource:
    """Open camera number ``index``.

    Raises:
        MediaError: there is no such camera, or it is taken.
    """
    name = f"camera {index}"
    return CaptureSource(name, lambda: OpenCVCapture(index, name))


def open_source(text: str) -> Source:
    """Open a video file, a camera's device file, or a URL.

    Raises:
        ConfigError: an unknown kind of URL.
        MediaError: it cannot be opened.
    """
    scheme = text.split("://", 1)[0].lower() if "://" in text else ""
    if scheme in URL_SCHEMES:
        name = redact(text)
        return CaptureSource(name, lambda: OpenCVCapture(text, name))
    if scheme == "file":
        return FileSource(Path(text[len("file://") :]))
    if scheme:
        raise ConfigError(
            f"--source {redact(text)}: {scheme}:// is unknown; give a video file or a URL that starts with "
            f"{', '.join(URL_SCHEMES)}"
        )
    if text.startswith("/dev/"):
        return CaptureSource(text, lambda: OpenCVCapture(text, text))
    if text.isdecimal() and not Path(text).exists():
        raise MediaError(f"there is no file {text}; for camera number {text} give --camera {text}")
    return FileSource(Path(text))


def redact(url: str) -> str:
    """A URL fit for printing: without user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    hidden = "***@" if "@" in parts.netloc else ""
    query = "?***" if parts.query else ""
    return f"{parts.scheme}://{hidden}{host}{parts.path}{query}"


def _cameras_present(address: int | str) -> str:
    """Which cameras there are instead, where the system shows them."""
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
