"""Connections to cameras and network streams through OpenCV."""

from __future__ import annotations

import re
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2

from s2d_edge.core.errors import MediaError
from s2d_edge.media.crop import Picture
from s2d_edge.media.opencv_decoder import (
    NOT_IN_OPENCV,
    fourcc_of,
    layout_of,
    nominal_fps,
    promised_frames,
    read_frame,
)
from s2d_edge.media.video import plausible_fps

OPEN_TIMEOUT_MS = 10_000
READ_TIMEOUT_MS = 5_000


class OpenCVCapture:
    """A connection through OpenCV: V4L2 and its like for cameras, FFmpeg for URLs."""

    def __init__(self, address: int | str, name: str) -> None:
        """Open camera number or address.

        Raises:
            MediaError: it does not open, or OpenCV lacks its codec.
        """
        self._address = str(address)
        if isinstance(address, int) or address.startswith("/dev/"):
            self._capture: Any = cv2.VideoCapture(address)
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # fresh frames, where the driver allows
            self.recording, self.frames = False, 0
            advice = "check that it is plugged in, free, and that you may read it"
        else:
            self._capture = cv2.VideoCapture(
                address,
                cv2.CAP_FFMPEG,
                [
                    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                    OPEN_TIMEOUT_MS,
                    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                    READ_TIMEOUT_MS,
                ],
            )
            self.frames = promised_frames(self._capture)
            # Other protocols are paced by the server, which may name a length all the same.
            self.recording = self.frames > 0 and address.lower().startswith(("http://", "https://"))
            advice = "check the address, the password and the network"
        if not self._capture.isOpened():
            self._capture.release()
            raise MediaError(f"{name} cannot be opened; {advice}{_cameras_present(address)}")
        self._layout = layout_of(self._capture)
        self._first: tuple[float, Picture] | None = None
        codec = NOT_IN_OPENCV.get(fourcc_of(self._capture).lower())
        if codec is not None:  # some builds of OpenCV decode it all the same
            self._first = read_frame(self._capture, self._layout)
            if self._first is None:
                self._capture.release()
                raise MediaError(
                    f"{name} is coded as {codec}, which this OpenCV cannot decode; set the camera to "
                    "H.264 or H.265, or download a recording and run the file"
                )

    @cached_property
    def shown(self) -> float:
        """The share of a recording's frames that its edit list shows; asks the server."""
        if not self.recording:
            return 1.0
        from s2d_edge.firmware_host.io.remote_file import remote_track_facts  # brings an HTTP client

        return remote_track_facts(self._address).shown

    @cached_property
    def missing_end(self) -> str:
        """Words for what a recording's file lacks at its end; asks the server."""
        if not self.recording:
            return ""
        from s2d_edge.firmware_host.io.remote_file import remote_missing_end

        return remote_missing_end(self._address)

    @property
    def fps(self) -> float | None:
        """Frames per second as the driver or container says; None without a plausible rate."""
        return plausible_fps(nominal_fps(self._capture)) or None

    def read(self) -> tuple[float, Picture] | None:
        """The next frame, RGB, upright and with square pixels."""
        first, self._first = self._first, None
        return first or read_frame(self._capture, self._layout)

    def release(self) -> None:
        """Close the device or connection."""
        self._capture.release()


def _cameras_present(address: int | str) -> str:
    """List the cameras of this machine, where the system shows them; for the end of a message."""
    if not isinstance(address, int) or not sys.platform.startswith("linux"):
        return ""
    numbers = sorted(
        int(found.group(1))
        for file in Path("/dev").glob("video*")
        if (found := re.fullmatch(r"video(\d+)", file.name))
    )
    present = ", ".join(f"camera {number}" for number in numbers) or "no camera"
    return f" (this machine has {present})"
