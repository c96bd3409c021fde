"""The protocol of what decodes a video file, whichever library does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from s2d_edge.core.errors import MediaError
from s2d_edge.core.files import is_utf8
from s2d_edge.media.crop import Picture
from s2d_edge.media.kinds import VIDEO_SUFFIXES

_BY_NUMBER = Path("/proc/self/fd")  # Linux's names of open files


@contextmanager
def name_for_ffmpeg(path: Path) -> Iterator[str]:
    """Yield a name under which FFmpeg opens a file while the block runs.

    FFmpeg believes a picture's suffix more than some videos' content, and its wrappers crash on a name that
    is not UTF-8; such files are opened by their number.
    """
    usual = path.suffix.lower() in VIDEO_SUFFIXES and is_utf8(path.resolve())
    if usual or not _BY_NUMBER.is_dir():
        yield str(path.resolve())  # in full: FFmpeg would take "http:x.mp4" for an address
        return
    with path.open("rb") as file:
        yield str(_BY_NUMBER / str(file.fileno()))


class UndecodableError(MediaError):
    """A library decodes no frame of a video; another may.

    Attributes:
        codec: the four letters of the codec; empty where they are not known.
    """

    def __init__(self, message: str, codec: str) -> None:
        super().__init__(message, codec)
        self.codec = codec

    def __str__(self) -> str:
        return str(self.args[0])


class Decoder(Protocol):
    """One pass over the frames of an opened video.

    Attributes:
        fps: nominal frames per second; 0 where the container names none.
        frames: number of frames that the container promises to show; 0 where it gives none.
        codec: what the frames are coded as, for people; empty where that is not known.
    """

    @property
    def fps(self) -> float: ...
    @property
    def frames(self) -> int: ...
    @property
    def codec(self) -> str: ...

    def read(self) -> tuple[float, Picture] | None:
        """Decode the next frame.

        Returns:
            Its timestamp in seconds, which may be missing (0 or NaN), and the upright (H, W, 3) uint8 RGB
            frame with square pixels; None after the last.
        """
        ...

    def release(self) -> None:
        """Close the file."""
        ...
