"""Videos whose frames keep their times: through PyAV, or on OpenCV's constant grid where it is missing."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Protocol

from s2d_edge.core.files import is_special, whole_file
from s2d_edge.media.crop import Picture
from s2d_edge.media.pyav_decoder import pyav
from s2d_edge.media.video import MAX_MEASURED_FPS, VideoSink

MISSING_PYAV = "PyAV is not installed (pip install 's2d-edge[av]')"
TICKS_PER_S = 60_000  # MPEG-4's clock counts to 65535 per second at most
FRAGMENT_US = 1_000_000  # a killed run loses no more of its video than this
SYNC_EVERY_S = 2.0
BEHIND_S = 0.25  # of the grid, after which a frame is left out
_KEY_EVERY = 30
_QUANTIZER = 4  # of MPEG-4, 1 (best) to 31: constant quality, whatever the rate
_QUANTIZER_UNIT = 118  # FFmpeg's FF_QP2LAMBDA


class TimedVideo(Protocol):
    """A video file under way."""

    def write(self, picture: Picture, t_s: float) -> bool:
        """Append a frame, of the size the file was opened with.

        Args:
            picture: (H, W, 3) uint8 RGB.
            t_s: its time, seconds after the first frame's; rises.

        Returns:
            False if the file has no place for the frame.

        Raises:
            OSError: the disk refuses it.
        """
        ...

    def close(self) -> None:
        """Complete the file.

        Raises:
            OSError: the disk refuses it.
            MediaError: it is not whole.
        """
        ...

    def discard(self) -> None:
        """Leave a file that grows as far as it came, and no other file at all."""
        ...


class AvVideo:
    """An MP4 written through PyAV: each frame has its own time, whatever the rate."""

    def __init__(self, av: ModuleType, path: Path, size: tuple[int, int], *, fps: float, grows: bool) -> None:
        """Start the file.

        Args:
            av: the module of PyAV.
            path: grows: an empty file made for it, or a pipe; otherwise it gets its name at the end.
            size: width and height, pixels.
            fps: of the source, which only a video of one frame needs.
            grows: write fragments that play without an end, as after a power cut.

        Raises:
            OSError: the disk refuses it.
        """
        self._cleanup = ExitStack()
        self._av = av
        self._last_tick = -1
        self._step_ticks = round(TICKS_PER_S / fps)
        self._grows = grows
        scratch = path if grows else self._cleanup.enter_context(whole_file(path))
        self._file: IO[bytes] = self._cleanup.enter_context(scratch.open("wb"))
        self._synced_s = time.monotonic()
        options = {
            "movflags": "empty_moov+default_base_moof",
            "frag_duration": str(FRAGMENT_US),
            "flush_packets": "1",
        }
        self._container: Any = av.open(self._file, "w", format="mp4", options=options if grows else {})
        self._stream: Any = self._container.add_stream("mpeg4")
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = Fraction(1, TICKS_PER_S)
        context = self._stream.codec_context
        context.time_base = Fraction(1, TICKS_PER_S)
        context.gop_size = _KEY_EVERY
        context.options = {"flags": "+qscale", "global_quality": str(_QUANTIZER * _QUANTIZER_UNIT)}

    def write(self, picture: Picture, t_s: float) -> bool:
        """Append a frame; see :class:`TimedVideo`."""
        frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = max(round(t_s * TICKS_PER_S), self._last_tick + 1)
        if self._last_tick >= 0:
            self._step_ticks = frame.pts - self._last_tick
        self._last_tick = frame.pts
        frame.time_base = Fraction(1, TICKS_PER_S)
        self._mux(frame)
        return True

    def _mux(self, frame: Any) -> None:
        with self._failures():
            for packet in self._stream.encode(frame):
                packet.duration = self._step_ticks  # of the last frame; others last until the next
                self._container.mux(packet)
        if not self._grows:
            return
        self._file.flush()
        if time.monotonic() - self._synced_s >= SYNC_EVERY_S:
            with suppress(OSError):  # a pipe has no disk
                os.fdatasync(self._file.fileno())
            self._synced_s = time.monotonic()

    def close(self) -> None:
        """Complete the file; see :class:`TimedVideo`."""
        try:
            self._mux(None)
            with self._failures():
                self._container.close()
            self._file.flush()
            with suppress(OSError):
                os.fsync(self._file.fileno())
        except BaseException as error:
            self._abandon(error)
            raise
        self._cleanup.close()

    def discard(self) -> None:
        """Leave the file; see :class:`TimedVideo`."""
        with suppress(Exception):  # it failed before, and may again
            self._container.close()
        self._abandon(OSError("the video is left as it is"))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Raise an OSError for whatever PyAV raises."""
        try:
            yield
        except self._av.error.FFmpegError as error:
            raise OSError(error.errno or errno.EIO, error.strerror or str(error)) from error

    def _abandon(self, error: BaseException) -> None:
        with suppress(OSError):  # closing a file flushes what the disk refused before
            self._cleanup.__exit__(type(error), error, None)


class GridVideo:
    """An MP4 written through OpenCV at a constant rate; frames are repeated so that it lasts as long."""

    def __init__(self, path: Path, size: tuple[int, int], *, fps: float) -> None:
        """Start the file, which gets its name at the end.

        Args:
            path: ends in ``.mp4``.
            size: width and height, pixels.
            fps: of the file, frames per second.

        Raises:
            MediaError: the folder or the encoder refuses.
        """
        self._fps = min(fps, MAX_MEASURED_FPS)
        self._sink = VideoSink(path, fps=self._fps, size=size)
        self._newest: Picture | None = None
        self._slots = 0

    def write(self, picture: Picture, t_s: float) -> bool:
        """Write the newest frame until this one's time, then this one; see :class:`TimedVideo`."""
        due = round(t_s * self._fps)
        while self._newest is not None and self._slots < due:
            self._append(self._newest)
        if self._slots - due > BEHIND_S * self._fps:
            return False
        self._append(picture)
        self._newest = picture
        return True

    def _append(self, picture: Picture) -> None:
        self._sink.write(picture)
        self._slots += 1

    def close(self) -> None:
        """Complete the file; see :class:`TimedVideo`."""
        self._sink.__exit__(None, None, None)

    def discard(self) -> None:
        """Remove what was written."""
        error = OSError("the video is discarded")
        self._sink.__exit__(type(error), error, None)


def open_video(path: Path, size: tuple[int, int], *, fps: float, grows: bool) -> TimedVideo:
    """Start a video.

    Args:
        path: ends in ``.mp4``.
        size: width and height, pixels.
        fps: of the source; the rate of the constant grid.
        grows: it plays at any time, if PyAV is installed.

    Raises:
        OSError, MediaError: the folder, disk or encoder refuses.
    """
    av = pyav()
    if av is not None:
        return AvVideo(av, path, size, fps=fps, grows=grows)
    return GridVideo(path, size, fps=fps)


def part_name(path: Path, number: int) -> Path:
    """Name of a part of a recording: ``name.mp4``, ``name-2.mp4``, and so on."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def new_part(path: Path, number: int) -> tuple[Path, int]:
    """Make an empty file for a part of a recording that replaces nothing.

    Args:
        path: name of part 1.
        number: of the part, or the first one to try.

    Returns:
        The file and its number.

    Raises:
        OSError: the folder or disk refuses.
    """
    if is_special(path):
        return path, number
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        part = part_name(path, number)
        try:
            part.open("xb").close()
        except FileExistsError:
            number += 1
        else:
            return part, number
