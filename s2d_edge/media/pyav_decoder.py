"""Decode videos with PyAV, the extra ``av``, where OpenCV's FFmpeg lacks the codec."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np

from s2d_edge.core.errors import MediaError
from s2d_edge.media.crop import Picture
from s2d_edge.media.decoder import name_for_ffmpeg
from s2d_edge.media.iso_boxes import read_track_facts
from s2d_edge.media.opencv_decoder import MOST_PIXELS
from s2d_edge.media.upright import TURNED_BY, Layout

# What PyAV raises of damaged files, beside its own errors.
_DAMAGE = (OSError, ValueError, LookupError, ArithmeticError, RuntimeError, MemoryError)


@cache
def pyav() -> ModuleType | None:
    """The module of PyAV, None where it is missing; imported where a video needs it, and not before."""
    try:
        return import_module("av")
    except ImportError:
        return None


class PyAVDecoder:
    """A video file, read with PyAV."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            MediaError: FFmpeg cannot open it, or it holds no video.
        """
        import av

        self._damage = (av.error.FFmpegError, *_DAMAGE)
        self._facts = read_track_facts(path)
        try:
            with ExitStack() as opened:
                name = opened.enter_context(name_for_ffmpeg(path))
                container = opened.enter_context(av.open(name, metadata_errors="ignore"))
                stream = container.streams.video[0]
                context = stream.codec_context
                if context is None:
                    raise LookupError("no decoder for its codec")
                if context.width * context.height > MOST_PIXELS:
                    raise ValueError(f"frames of {context.width}×{context.height} pixels")
                stream.thread_type = "AUTO"
                self._container, self._stream = container, stream
                self._opened = opened.pop_all()
        except self._damage as error:
            raise MediaError(
                f"{path} cannot be decoded as a video ({error}); copy or record it again"
            ) from None
        self._frames = self._decoded()
        self.fps = float(stream.average_rate or 0)
        self.frames = round(stream.frames * self._facts.shown)
        self.codec = context.name

    def read(self) -> tuple[float, Picture] | None:
        """Decode the next frame; see :meth:`Decoder.read`."""
        return next(self._frames, None)

    def _decoded(self) -> Generator[tuple[float, Picture], None, None]:
        start_s = float((self._stream.start_time or 0) * (self._stream.time_base or 0))
        aspect = float(self._stream.sample_aspect_ratio or 1)
        packets = iter(self._container.demux(self._stream))
        while True:
            try:
                frames = next(packets).decode()
            except StopIteration:
                return
            except self._damage:  # one damaged packet; the next may be sound
                continue
            for frame in frames:
                stamp_s = float("nan") if frame.time is None else frame.time - start_s
                degrees = -90 * round(frame.rotation / 90) % 360  # PyAV counts against the clock
                layout = Layout(self._facts.mirrored or TURNED_BY[degrees], aspect)
                yield stamp_s, layout.show(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))

    def release(self) -> None:
        """Close the file."""
        self._frames.close()
        self._opened.close()
