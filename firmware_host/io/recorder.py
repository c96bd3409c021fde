"""Where frames go besides the panel: an annotated MP4, and a window on the screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import cv2

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io.annotate import Overlay, annotate
from s2d_edge.firmware_host.io.sources import Frame
from s2d_edge.media.crop import Picture
from s2d_edge.media.video import FALLBACK_FPS, MAX_PLAUSIBLE_FPS, VideoSink

MEASURE_OVER_S = 1.0
WINDOW_TITLE = "s2d-edge run"
QUIT_KEYS = frozenset({ord("q"), 27})


class Recorder:
    """Writes annotated frames to an MP4, which is opened with the first frames, at their size."""

    def __init__(self, path: Path, fps: float | None) -> None:
        """Nothing is written yet.

        Args:
            path: ends in ``.mp4``.
            fps: rate of the source; None measures it by the clock of the first frames, since cameras
                seldom keep the rate they name.
        """
        self._path = path
        self._fps = fps
        self._cleanup = ExitStack()
        self._sink: VideoSink | None = None
        self._waiting: list[tuple[Frame, Overlay]] = []

    def write(self, frame: Frame, overlay: Overlay) -> None:
        """Annotate and append one frame.

        Raises:
            MediaError: the disk is full, or the frame has another size than the first.
        """
        if self._sink is not None:
            self._sink.write(annotate(frame.picture, overlay))
            return
        self._waiting.append((frame, overlay))
        if self._fps is not None or frame.t_s - self._waiting[0][0].t_s >= MEASURE_OVER_S:
            self._begin()

    def _begin(self) -> None:
        """Open the file and write what waited for its rate."""
        first, last = self._waiting[0][0], self._waiting[-1][0]
        lasted_s = last.t_s - first.t_s
        measured = (len(self._waiting) - 1) / lasted_s if lasted_s > 0 else FALLBACK_FPS
        annotated = [annotate(frame.picture, overlay) for frame, overlay in self._waiting]
        size = (annotated[0].shape[1], annotated[0].shape[0])
        self._sink = self._cleanup.enter_context(
            VideoSink(self._path, fps=self._fps or min(measured, MAX_PLAUSIBLE_FPS), size=size)
        )
        for picture in annotated:
            self._sink.write(picture)
        self._waiting.clear()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._waiting:
            self._begin()
        self._cleanup.__exit__(kind, error, trace)


class Window:
    """A window that shows annotated frames; must be used from the main thread."""

    def show(self, picture: Picture, overlay: Overlay) -> bool:
        """Show a frame; False when the user closed the window or pressed q."""
        cv2.imshow(WINDOW_TITLE, cv2.cvtColor(annotate(picture, overlay), cv2.COLOR_RGB2BGR))
        return self.poll()

    def poll(self) -> bool:
        """Let the window react; False when the user wants to end."""
        if cv2.waitKey(1) & 0xFF in QUIT_KEYS:
            return False
        return bool(cv2.getWindowProperty(WINDOW_TITLE, cv2.WND_PROP_VISIBLE) >= 1)


@contextmanager
def open_window() -> Iterator[Window]:
    """A window on the screen for the length of the block.

    Raises:
        MediaError: there is no display, or this OpenCV has no windows.
    """
    # Asked first: without a display, Qt ends the whole process.
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        raise MediaError("--show needs a display and DISPLAY is not set; leave it out, or use --save")
    try:
        cv2.namedWindow(WINDOW_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    except cv2.error:
        raise MediaError("--show needs an OpenCV with windows; this one has none: use --save") from None
    try:
        yield Window()
    finally:
        cv2.destroyAllWindows()
