"""Decode animated GIF, PNG, WebP and AVIF files, as videos."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

from s2d_edge.core.errors import MediaError
from s2d_edge.media.crop import Picture
from s2d_edge.media.pillow import decoding

# Shown that long where a file names no time or one below 20 ms, as browsers do.
_DEFAULT_MS = 100.0
_SHORTEST_MS = 20.0
_GIF_END = b";"


class AnimationDecoder:
    """An animated picture, read with Pillow; each frame is shown for its own time."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            MediaError: Pillow cannot read it.
        """
        self._path = path
        with decoding(path, "animation"), ExitStack() as opened:
            self._image = opened.enter_context(Image.open(path))
            self.frames = int(getattr(self._image, "n_frames", 1))
            opened.pop_all()
        self.codec = self._image.format or ""
        self.fps = 0.0
        self._next = 0
        self._due_ms = 0.0

    def read(self) -> tuple[float, Picture] | None:
        """Decode the next frame; see :meth:`Decoder.read`.

        Raises:
            MediaError: a damaged frame.
        """
        if self._next >= self.frames:
            self._require_end()
            return None
        with decoding(self._path, "animation"):
            self._image.seek(self._next)
            frame = np.array(self._image.convert("RGB"), np.uint8)
        stamp_s = self._due_ms / 1e3
        shown_ms = float(self._image.info.get("duration") or 0)
        self._due_ms += shown_ms if shown_ms >= _SHORTEST_MS else _DEFAULT_MS
        self._next += 1
        return stamp_s, frame

    def _require_end(self) -> None:
        """See that a GIF, which does not say how many frames it has, is whole: its last byte says so."""
        if self.codec == "GIF" and not self._path.read_bytes().rstrip(b"\0\r\n").endswith(_GIF_END):
            raise MediaError(f"{self._path} is cut short after {self._next} frames; copy it again")

    def release(self) -> None:
        """Close the file."""
        self._image.close()
