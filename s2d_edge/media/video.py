"""Read video files and write annotated ones: every frame, or an error that says why not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

# Silences FFmpeg's own log; the functions below report what goes wrong.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from s2d_edge.core.errors import MediaError
from s2d_edge.core.files import whole_file
from s2d_edge.media.crop import Picture
from s2d_edge.media.pictures import check_file

cv2.setLogLevel(0)

MAX_PLAUSIBLE_FPS = 240.0
FALLBACK_FPS = 25.0
# A container may promise this many frames, or this fraction, more than can be decoded.
FRAMES_SHORT = 2
FRACTION_SHORT = 0.02
# The writer gives up while there is still room to say so.
DISK_RESERVE_BYTES = 1 << 20
_FRAMES_PER_DISK_CHECK = 16
_FRAMES_TO_MEASURE = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """Properties of a video file.

    Attributes:
        path: the file.
        fps: frames per second, on average; measured when the container names no plausible rate.
        width: pixels, as decoded.
        height: pixels, as decoded.
        frames: number of frames that the container promises; 0 when it gives none.
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
    capture = _open(path)
    try:
        decoded, frame = capture.read()
        if not decoded:
            raise MediaError(f"{path} holds no frame that can be decoded; is it damaged or cut short?")
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        return VideoInfo(
            path=path,
            fps=fps if 0 < fps <= MAX_PLAUSIBLE_FPS else _measured_fps(capture),
            width=frame.shape[1],
            height=frame.shape[0],
            frames=_promised_frames(capture),
        )
    finally:
        capture.release()


def read_video(path: Path) -> Iterator[tuple[float, Picture]]:
    """Decode a video file, frame by frame.

    Yields:
        Timestamp in seconds, strictly ascending, from the container where it has any (so a variable rate
        is respected), and the (H, W, 3) uint8 RGB frame.

    Raises:
        MediaError: what :func:`probe_video` raises; after the last frame, when far fewer were decoded
            than the container promises.
    """
    info = probe_video(path)
    capture = _open(path)
    try:
        count, t_s = 0, -1.0 / info.fps
        while True:
            decoded, frame = capture.read()
            if not decoded:
                break
            stamp_s = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
            t_s = stamp_s if stamp_s > t_s else t_s + 1.0 / info.fps
            count += 1
            yield t_s, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        _check_complete(info, count, t_s, nominal_fps=float(capture.get(cv2.CAP_PROP_FPS)))
    finally:
        capture.release()


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
        if self._written % _FRAMES_PER_DISK_CHECK == 0:
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
            counted = _promised_frames(capture) if capture.isOpened() else 0
            if counted != self._written:
                return f"{counted} of {self._written} frames are in the file: is the disk full?"
            capture.set(cv2.CAP_PROP_POS_FRAMES, self._written - 1)
            return None if capture.read()[0] else "its last frame cannot be decoded: is the disk full?"
        finally:
            capture.release()


def _open(path: Path) -> Any:
    check_file(path, "video")
    # The absolute path: FFmpeg would take "http:x.mp4" for a protocol.
    capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        capture.release()
        raise MediaError(
            f"{path} is not a video that can be decoded: it is damaged, cut short, or something else "
            "under a video's name; copy or record it again"
        )
    return capture


def _promised_frames(capture: Any) -> int:
    count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return int(count) if np.isfinite(count) and count > 0 else 0


def _measured_fps(capture: Any) -> float:
    """Measure the rate of the next frames by their timestamps, for containers without a plausible one."""
    first_s = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
    frames = 0
    last_s = first_s
    while frames < _FRAMES_TO_MEASURE and capture.read()[0]:
        frames += 1
        last_s = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
    fps = frames / (last_s - first_s) if last_s > first_s else 0.0
    return fps if 0 < fps <= MAX_PLAUSIBLE_FPS else FALLBACK_FPS


def _check_complete(info: VideoInfo, decoded: int, last_s: float, *, nominal_fps: float) -> None:
    """Refuse a file that ended early, by its frames and by its clock.

    Both, because containers that estimate their frame count from a made-up rate still know how long
    they last.
    """
    missing = info.frames - decoded
    if missing <= max(FRAMES_SHORT, FRACTION_SHORT * info.frames) or not nominal_fps > 0:
        return
    promised_s = info.frames / nominal_fps
    missing_s = promised_s - (last_s + 1.0 / info.fps)
    if missing_s > max(FRAMES_SHORT / info.fps, FRACTION_SHORT * promised_s):
        raise MediaError(
            f"{info.path} is cut short: {decoded} of the {info.frames} frames it promises can be decoded; "
            "copy or record it again"
        )
