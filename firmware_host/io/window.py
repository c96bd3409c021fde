"""A window on the screen that shows annotated frames."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host.io.annotate import annotate
from s2d_edge.firmware_host.io.view import Overlay
from s2d_edge.media.crop import Picture

WINDOW_TITLE = "s2d-edge run"
QUIT_KEYS = frozenset({ord("q"), 27})


class Window:
    """Shows annotated frames on the screen; to be used from the main thread only."""

    def show(self, picture: Picture, overlay: Overlay) -> bool:
        """Show a frame; False if the user closed the window or pressed q."""
        cv2.imshow(WINDOW_TITLE, cv2.cvtColor(annotate(picture, overlay), cv2.COLOR_RGB2BGR))
        return self.poll()

    def poll(self) -> bool:
        """Let the window react to the user; False if it was closed or q was pressed."""
        if cv2.waitKey(1) & 0xFF in QUIT_KEYS:
            return False
        return bool(cv2.getWindowProperty(WINDOW_TITLE, cv2.WND_PROP_VISIBLE) >= 1)


@contextmanager
def open_window() -> Iterator[Window]:
    """Open a window on the screen for the length of the block.

    Raises:
        MediaError: there is no display, or this OpenCV has no windows.
    """
    # Checked first: without a display, Qt ends the whole process.
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
