"""Writing annotated frames to an MP4."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from s2d_edge.firmware_host.io.annotate import annotate
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.io.view import Overlay
from s2d_edge.media.video import FALLBACK_FPS, MAX_PLAUSIBLE_FPS, VideoSink

MEASURE_OVER_S = 1.0


class Recorder:
    """Writes annotated frames to an MP4, which is opened at the size of the first frame."""

    def __init__(self, path: Path, fps: float | None) -> None:
        """Prepare to write; the file is not there before the first frames.

        Args:
            path: ends in ``.mp4``.
            fps: frames per second of the source; None measures it by the times of the first frames, since
                cameras seldom keep the rate they name.
        """
        self._path = path
        self._fps = fps
        self._cleanup = ExitStack()
        self._sink: VideoSink | None = None
        self._waiting: list[tuple[Frame, Overlay]] = []

    def write(self, frame: Frame, overlay: Overlay) -> None:
        """Annotate and append one frame.

        Raises:
            MediaError: the disk is full, or the frame differs in size from the first.
        """
        if self._sink is not None:
            self._sink.write(annotate(frame.picture, overlay))
            return
        self._waiting.append((frame, overlay))
        if self._fps is not None or frame.t_s - self._waiting[0][0].t_s >= MEASURE_OVER_S:
            self._begin()

    def _begin(self) -> None:
        """Open the file and write the frames that waited for its rate."""
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
