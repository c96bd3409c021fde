"""The annotated video of a run: one file of a recording, parts of a live source that survive what happens."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import cv2

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io.annotate import annotate
from s2d_edge.firmware_host.io.attempts import Attempts
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.io.timed_video import (
    MISSING_PYAV,
    TimedVideo,
    new_part,
    open_video,
    part_name,
)
from s2d_edge.firmware_host.io.view import Overlay
from s2d_edge.media.pyav_decoder import pyav
from s2d_edge.media.video import DISK_RESERVE_BYTES, FALLBACK_FPS, FRAMES_PER_DISK_CHECK

RESUME_BYTES = 16 * DISK_RESERVE_BYTES  # so that a full disk is not filled with parts of a few frames
_FAILURES = (OSError, ValueError, MediaError, cv2.error)


class Recorder:
    """Writes annotated frames with their times; a failure to write them never raises.

    Of a live source it writes a file that grows and plays at any time. A picture of another size, or a disk
    that has room again, begins a new part; nothing that was there before is replaced. Of a recording it
    writes a file that has its name only when it is complete.

    Attributes:
        parts: the files written, in order.
    """

    def __init__(self, path: Path, fps: float | None, warn: Callable[[str], None], *, live: bool) -> None:
        """Prepare to write; see that the folder can be written.

        Args:
            path: ends in ``.mp4``.
            fps: frames per second that the source names; None when unknown.
            warn: shows a sentence.
            live: the source has no end.

        Raises:
            MediaError: the folder cannot be made or written.
        """
        self.parts: list[Path] = []
        self._path = path
        self._fps = fps or FALLBACK_FPS
        self._warn = warn
        self._live = live
        self._attempts = Attempts(str(path), "frames", warn)
        self._video: TimedVideo | None = None
        self._size = (0, 0)
        self._written = 0  # frames of this part
        self._start_s = 0.0
        self._number = 1
        self._claimed: Path | None = None
        try:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
            if live:
                self._claim()
        except OSError as error:
            raise MediaError(f"cannot write {path}: {error.strerror}; choose another --save") from None
        if live and pyav() is None:
            warn(f"{MISSING_PYAV}, so {path} plays only after the run has ended by itself or by a signal")

    @property
    def lost(self) -> int:
        """Frames that could not be written so far."""
        return self._attempts.lost

    def write(self, frame: Frame, overlay: Overlay) -> None:
        """Annotate and append one frame."""
        if not self._attempts.due:
            self._attempts.skipped()
            return
        try:
            written = self._append(frame, overlay)
        except _FAILURES as error:
            self._discard()
            self._attempts.failed(error, final=not self._live)
            return
        self._attempts.worked()
        if not written:
            self._attempts.skipped()

    def _append(self, frame: Frame, overlay: Overlay) -> bool:
        picture = annotate(frame.picture, overlay)
        size = (picture.shape[1], picture.shape[0])
        if self._video is not None and size != self._size:
            video, self._video = self._video, None
            video.close()
            self._number += 1
        if self._video is None or self._written % FRAMES_PER_DISK_CHECK == 0:
            self._require_room()
        if self._video is None:
            path = self._claim() if self._live else part_name(self._path, self._number)
            self._video = open_video(path, size, fps=self._fps, grows=self._live)
            self._size, self._start_s, self._written, self._claimed = size, frame.t_s, 0, None
            self.parts.append(path)
        written = self._video.write(picture, frame.t_s - self._start_s)
        self._written += written
        return written

    def _require_room(self) -> None:
        """Leave a reserve on the disk, for the other outputs."""
        wanted = RESUME_BYTES if self._attempts.failing else DISK_RESERVE_BYTES
        if shutil.disk_usage(self._path.parent).free < wanted:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _claim(self) -> Path:
        """The empty file of the next part."""
        if self._claimed is None:
            self._claimed, self._number = new_part(self._path, self._number)
            if self._claimed != self._path and not self.parts:
                self._warn(f"{self._path} exists already; recording to {self._claimed}")
        return self._claimed

    def _discard(self) -> None:
        """Give up the part under way; what a live source's holds is kept."""
        if self._video is None:
            return
        video, self._video = self._video, None
        video.discard()
        if not self._live:
            self.parts.pop()
        elif pyav() is None or not self._written:
            _remove(self.parts.pop())

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._video is not None and (error is None or self._live):
                self._video.close()
            else:
                self._discard()
        except _FAILURES as problem:
            self._attempts.failed(problem, final=True)
            if not self._live:
                self.parts.clear()
        if self._claimed is not None:  # no frame came
            _remove(self._claimed)


def _remove(part: Path) -> None:
    """Remove a part that holds no frame."""
    if part.is_file():
        with suppress(OSError):
            part.unlink()
