"""Decode videos with the FFmpeg inside OpenCV."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Silences FFmpeg's own log; what goes wrong is raised as an error.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from s2d_edge.core.errors import MediaError
from s2d_edge.media.crop import Picture
from s2d_edge.media.decoder import UndecodableError, name_for_ffmpeg
from s2d_edge.media.iso_boxes import read_track_facts
from s2d_edge.media.upright import TURNED_BY, Layout

cv2.setLogLevel(0)

# Codecs that OpenCV's wheels hold no decoder for, by their four letters.
NOT_IN_OPENCV = {"av01": "AV1", "vvc1": "H.266 (VVC)", "vvi1": "H.266 (VVC)"}
# Larger frames are a damaged header: 16K is 15360×8640.
MOST_PIXELS = 15360 * 8640


class OpenCVDecoder:
    """A video file, read with ``cv2.VideoCapture``."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            UndecodableError: FFmpeg cannot open it.
            MediaError: its frames are larger than any camera's.
        """
        facts = read_track_facts(path)
        with name_for_ffmpeg(path) as name:
            self._capture: Any = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            self.release()
            raise UndecodableError(
                f"{path} is not a video that can be decoded: it is damaged, cut short, or something else "
                "under a video's name; copy or record it again",
                facts.codec,
            )
        width, height = (self._capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MOST_PIXELS:
            self.release()
            raise MediaError(
                f"{path} names frames of {width:.0f}×{height:.0f} pixels, more than any camera has; "
                "is it damaged? copy or record it again"
            )
        self._layout = layout_of(self._capture, facts.mirrored)
        self.fps = nominal_fps(self._capture)
        self.frames = round(promised_frames(self._capture) * facts.shown)
        self.codec = fourcc_of(self._capture)

    def read(self) -> tuple[float, Picture] | None:
        """Decode the next frame; see :meth:`Decoder.read`."""
        return read_frame(self._capture, self._layout)

    def release(self) -> None:
        """Close the file."""
        self._capture.release()


def layout_of(capture: Any, mirrored: int | None = None) -> Layout:
    """Tell how the frames of an opened capture are to be shown, and stop OpenCV from turning some of them.

    Whether OpenCV turns frames by itself depends on its version and build, so it is always done here.

    Args:
        mirrored: the orientation of a mirrored track, which OpenCV takes for a turned one.
    """
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    wide, high = (float(capture.get(p)) for p in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN))
    degrees = float(capture.get(cv2.CAP_PROP_ORIENTATION_META))
    turn = 90 * round(degrees / 90) % 360 if np.isfinite(degrees) else 0
    return Layout(
        orientation=mirrored or TURNED_BY[turn], pixel_aspect=wide / high if wide > 0 and high > 0 else 1.0
    )


def read_frame(capture: Any, layout: Layout) -> tuple[float, Picture] | None:
    """Decode the next frame of a capture, as it is to be shown; see :meth:`Decoder.read`."""
    try:
        decoded, frame = capture.read()
    except cv2.error:  # such as a damaged frame that changes its size
        return None
    if not decoded:
        return None
    stamp_s = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
    return stamp_s, layout.show(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def nominal_fps(capture: Any) -> float:
    """Frames per second that the container or driver names; 0 where it names none."""
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    return fps if np.isfinite(fps) and fps > 0 else 0.0


def promised_frames(capture: Any) -> int:
    """Frames that the container promises; 0 where it gives no number."""
    count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return int(count) if np.isfinite(count) and count > 0 else 0


def fourcc_of(capture: Any) -> str:
    """The four letters of the codec; empty where there are none."""
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    letters = code.to_bytes(4, "little").decode("ascii", "replace").strip("\0 ")
    return letters if letters.isprintable() else ""
