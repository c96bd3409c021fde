"""A video file played at a camera's pace, for measurements."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import cv2

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io.source import Frame, SourceState
from s2d_edge.media.video import read_video

JPEG_QUALITY = 90
MOST_FRAMES = 500  # kept as JPEG in memory


class PacedSource:
    """The frames of a file over and over, forwards and backwards, as a camera of Motion JPEG delivers them.

    Each frame is a JPEG in memory and is decoded when its time comes, as OpenCV decodes a camera's. A reader
    who is late misses frames.
    """

    live = True

    def __init__(self, path: Path, fps: float) -> None:
        """Read the file's first frames.

        Args:
            path: of the video.
            fps: frames per second to deliver, whatever the file's own rate.

        Raises:
            MediaError: the file cannot be read, or holds no frame.
        """
        self.name = f"{path} at {fps:g} frames per second"
        self.fps: float | None = fps
        self.state = SourceState.OPENING
        self._period_s = 1 / fps
        self._stopped = Event()
        self._jpegs = []
        for _, picture in itertools.islice(read_video(path), MOST_FRAMES):
            self._jpegs.append(
                cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
            )
        if not self._jpegs:
            raise MediaError(f"{path} holds no frame; give a video")
        self.size = (picture.shape[1], picture.shape[0])

    def frames(self) -> Iterator[Frame]:
        """Every frame that is due, until :meth:`stop`."""
        self.state = SourceState.PLAYING
        there_and_back = [*self._jpegs, *self._jpegs[-2:0:-1]]
        begun_s = time.perf_counter()
        number = 0
        try:
            while not self._stopped.wait(max(begun_s + number * self._period_s - time.perf_counter(), 0)):
                decoded = cv2.imdecode(there_and_back[number % len(there_and_back)], cv2.IMREAD_COLOR)
                picture = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
                yield Frame(number, number * self._period_s, picture, time.perf_counter())
                number = max(number + 1, int((time.perf_counter() - begun_s) / self._period_s))
        finally:
            self.state = SourceState.ENDED

    def stop(self) -> None:
        """End after the current frame."""
        self._stopped.set()
