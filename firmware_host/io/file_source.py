"""A video file as a source of frames."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from s2d_edge.firmware_host.io.source import Frame, SourceState
from s2d_edge.media.video import probe_video, read_video


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
        """Frames per second as the container says, or measured."""
        return self._info.fps

    def frames(self) -> Iterator[Frame]:
        """Every frame of the file; see :meth:`Source.frames`."""
        self.state = SourceState.PLAYING
        try:
            for index, (t_s, picture) in enumerate(read_video(self._path)):
                if self._stopped.is_set():
                    break
                yield Frame(index, t_s, picture, time.perf_counter())
        finally:
            self.state = SourceState.ENDED

    def stop(self) -> None:
        """End after the current frame."""
        self._stopped.set()
