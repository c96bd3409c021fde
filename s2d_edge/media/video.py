"""Read video files and write annotated ones: every frame, or an error that says why not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from s2d_edge.core.errors import MediaError
from s2d_edge.core.files import is_utf8, whole_file
from s2d_edge.media.animation import AnimationDecoder
from s2d_edge.media.crop import Picture
from s2d_edge.media.decoder import Decoder, UndecodableError
from s2d_edge.media.kinds import file_kind
from s2d_edge.media.opencv_decoder import NOT_IN_OPENCV, OpenCVDecoder, promised_frames
from s2d_edge.media.pictures import check_file
from s2d_edge.media.pyav_decoder import PyAVDecoder, pyav
from s2d_edge.media.tails import missing_end

# Some containers name their clock's ticks instead of a rate; a higher one is taken from the timestamps only.
MAX_PLAUSIBLE_FPS = 240.0
MAX_MEASURED_FPS = 2000.0
FALLBACK_FPS = 25.0
# A container may promise this many frames, or this fraction, more than can be decoded.
FRAMES_SHORT = 2
FRACTION_SHORT = 0.02
# The writer gives up while there is still room to say so; it looks once in so many frames.
DISK_RESERVE_BYTES = 1 << 20
FRAMES_PER_DISK_CHECK = 16
_FRAMES_TO_MEASURE = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """Properties of a video file.

    Attributes:
        path: the file.
        fps: frames per second, on average; measured when the container names no plausible rate.
        width: pixels, as shown: upright, and square.
        height: pixels, as shown.
        frames: number of frames that the container promises to show; 0 when it gives none.
    """

    path: Path
    fps: float
    width: int
    height: int
    frames: int


def probe_video(path: Path) -> VideoInfo:
    """Open a video file and decode its first frame.

    Raises:
        MediaError: missing, empty, not a video, or no frame can be decoded.
    """
    decoder, first = open_decoder(path)
    try:
        return VideoInfo(
            path=path,
            fps=plausible_fps(decoder.fps) or _measured_fps(decoder, first[0]),
            width=first[1].shape[1],
            height=first[1].shape[0],
            frames=decoder.frames,
        )
    finally:
        decoder.release()


def read_video(path: Path) -> Iterator[tuple[float, Picture]]:
    """Decode a video file, frame by frame, as its tags say it is to be shown.

    Yields:
        Timestamp in seconds, strictly ascending, from the container where it has any (so a variable rate
        is respected), and the (H, W, 3) uint8 RGB frame, upright and with square pixels.

    Raises:
        MediaError: what :func:`probe_video` raises; after the last frame, when far fewer were decoded
            than the container promises, or its end is missing.
    """
    decoder, first = open_decoder(path)
    got: tuple[float, Picture] | None = first
    try:
        # Measuring a rate takes frames, so it opens the file once more.
        fps = plausible_fps(decoder.fps) or probe_video(path).fps
        clock, count, t_s = FrameClock(fps), 0, 0.0
        while got is not None:
            stamp_s, frame = got
            t_s = clock.time_of(stamp_s)
            count += 1
            yield t_s, frame
            got = decoder.read()
        if is_cut_short(decoder.frames, count, last_s=t_s, nominal_fps=decoder.fps, fps=fps):
            raise MediaError(
                f"{path} is cut short: {count} of the {decoder.frames} frames it promises can be decoded; "
                "copy or record it again"
            )
        if missing := missing_end(path):
            raise MediaError(
                f"{path} is cut short after {count} frames: {missing}; copy or record it again, or keep what "
                f"is there: ffmpeg -i {path.name} -c copy whole{path.suffix}"
            )
    finally:
        decoder.release()


def open_decoder(path: Path) -> tuple[Decoder, tuple[float, Picture]]:
    """Open a video file with the first library that decodes it, and decode its first frame.

    Raises:
        MediaError: missing, empty, not a video, or no library decodes a frame.
    """
    check_file(path, "video")
    if file_kind(path) == "animation":
        return _started(path, AnimationDecoder(path))
    try:
        return _started(path, OpenCVDecoder(path))
    except UndecodableError as refusal:
        if pyav() is not None:
            with suppress(MediaError):
                return _started(path, PyAVDecoder(path))
        elif (name := NOT_IN_OPENCV.get(refusal.codec.lower())) is not None:
            raise MediaError(
                f"{path} is coded as {name}, which this OpenCV cannot decode; install a decoder with "
                f"pip install 's2d-edge[av]', or convert it: ffmpeg -i {path.name} -c:v libx264 converted.mp4"
            ) from None
        raise


def _started(path: Path, decoder: Decoder) -> tuple[Decoder, tuple[float, Picture]]:
    with ExitStack() as opened:
        opened.callback(decoder.release)
        first = decoder.read()
        if first is not None:
            opened.pop_all()
            return decoder, first
    coded = f" (coded as {decoder.codec})" if decoder.codec else ""
    raise UndecodableError(
        f"{path} holds no frame that can be decoded{coded}; is it damaged or cut short?", decoder.codec
    )


class FrameClock:
    """Gives every frame a time: its timestamp, or one counted by the rate where that is missing or wrong."""

    def __init__(self, fps: float) -> None:
        """Start before the first frame of a video of ``fps`` frames per second."""
        self._period_s = 1.0 / fps
        self._last_s = -self._period_s
        self.counted = 0

    def time_of(self, stamp_s: float) -> float:
        """Seconds of the next frame, above those of every frame before.

        Args:
            stamp_s: its timestamp; one that is not above the last, or not finite, counts as missing.
        """
        if np.isfinite(stamp_s) and stamp_s > self._last_s:
            self._last_s = stamp_s
        else:
            self._last_s += self._period_s
            self.counted += 1
        return self._last_s


class VideoSink:
    """Writes an MP4 that exists under its name only when every frame is in it.

    OpenCV's writer does not report failed writes. So frames go to a scratch file beside ``path``; the
    disk is watched while writing, and at the end the file is opened again and counted before it takes
    its name. Leaving the ``with`` block by an exception removes it.
    """

    def __init__(self, path: Path, *, fps: float, size: tuple[int, int]) -> None:
        """Start the file.

        Args:
            path: ends in ``.mp4``; an existing file is replaced at the very end.
            fps: frames per second of the (constant-rate) file.
            size: width and height of every frame, pixels.

        Raises:
            MediaError: another suffix, or the folder or the encoder refuses.
        """
        if path.suffix.lower() != ".mp4":
            raise MediaError(
                f"cannot save to {path.name}: annotated video is written as .mp4; choose such a name"
            )
        if not is_utf8(path.absolute()):  # OpenCV crashes on it
            raise MediaError(
                f"cannot write {str(path)!r} with OpenCV, as its name is not UTF-8; choose another"
            )
        self.path = path
        self._size = size
        self._written = 0
        self._cleanup = ExitStack()
        try:
            self._scratch = self._cleanup.enter_context(whole_file(path))
        except OSError as error:
            raise MediaError(f"cannot write {path}: {error.strerror}; choose another place to save") from None
        # MPEG-4's clock counts to 65535 per second at most.
        rate = round(fps, 3 if fps < 60 else 2)
        self._writer = cv2.VideoWriter(str(self._scratch), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
        if not self._writer.isOpened():
            refusal = MediaError(
                f"cannot write {path}: the encoder refuses {size[0]}×{size[1]} at {rate} fps; "
                "choose another size or rate"
            )
            self._discard(refusal)
            raise refusal

    def write(self, frame: Picture) -> None:
        """Append one (H, W, 3) uint8 RGB frame.

        Raises:
            MediaError: a frame of another size, or the disk is full.
        """
        if (frame.shape[1], frame.shape[0]) != self._size:
            raise MediaError(
                f"a frame of {frame.shape[1]}×{frame.shape[0]} cannot go into {self.path}, "
                f"which was started at {self._size[0]}×{self._size[1]}; resize it first"
            )
        if self._written % FRAMES_PER_DISK_CHECK == 0:
            self._check_disk()
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self._written += 1

    def __enter__(self) -> VideoSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.release()
        if error is not None:
            self._discard(error)
            return
        problem = self._problem()
        if problem is not None:
            refusal = MediaError(
                f"{self.path} could not be written whole ({problem}) and was removed; "
                "free some space, or save elsewhere"
            )
            self._discard(refusal)
            raise refusal
        self._cleanup.close()

    def _discard(self, error: BaseException) -> None:
        """Remove the scratch file, because of ``error``."""
        self._cleanup.__exit__(type(error), error, error.__traceback__)

    def _check_disk(self) -> None:
        if shutil.disk_usage(self.path.parent).free < DISK_RESERVE_BYTES:
            raise MediaError(
                f"the disk is full: {self.path} could not be written whole and was removed; "
                "free some space, or save elsewhere"
            )

    def _problem(self) -> str | None:
        """The fault of the finished scratch file, in words; None when it is sound."""
        if self._written == 0:
            return "there was no frame to write"
        capture = cv2.VideoCapture(str(self._scratch), cv2.CAP_FFMPEG)
        try:
            counted = promised_frames(capture) if capture.isOpened() else 0
            if counted != self._written:
                return f"{counted} of {self._written} frames are in the file: is the disk full?"
            capture.set(cv2.CAP_PROP_POS_FRAMES, self._written - 1)
            return None if capture.read()[0] else "its last frame cannot be decoded: is the disk full?"
        finally:
            capture.release()


def plausible_fps(named: float) -> float:
    """Frames per second that a container or driver names; 0 where it names none, or its clock's ticks."""
    return named if named <= MAX_PLAUSIBLE_FPS else 0.0


def _measured_fps(decoder: Decoder, first_s: float) -> float:
    """Measure the rate of the next frames by their timestamps, for containers without a plausible one."""
    frames = 0
    last_s = first_s
    while frames < _FRAMES_TO_MEASURE and (got := decoder.read()) is not None:
        frames += 1
        last_s = got[0]
    fps = frames / (last_s - first_s) if last_s > first_s else 0.0
    return fps if 0 < fps <= MAX_MEASURED_FPS else FALLBACK_FPS


def is_cut_short(
    promised: int, decoded: int, *, last_s: float | None = None, nominal_fps: float = 0.0, fps: float = 0.0
) -> bool:
    """Tell whether a video ended early, by its frames and by its clock.

    Both, because containers that estimate their frame count from a made-up rate still know how long
    they last.

    Args:
        promised: frames that the container promises.
        decoded: frames that came.
        last_s: time of the last of these, seconds; None reckons by frames alone.
        nominal_fps: the container's rate; ``fps`` without it.
        fps: the true rate.
    """
    missing = promised - decoded
    if missing <= max(FRAMES_SHORT, FRACTION_SHORT * promised):
        return False
    if last_s is None:
        return True
    promised_s = promised / (nominal_fps or fps)
    missing_s = promised_s - (last_s + 1.0 / fps)
    return missing_s > max(FRAMES_SHORT / fps, FRACTION_SHORT * promised_s)
