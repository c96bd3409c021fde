"""A clip in AV1, which OpenCV's wheels cannot decode."""

from __future__ import annotations

from pathlib import Path

import av

from tests.pictures import plain


def write_av1(path: Path) -> Path:
    """Write 20 frames at 10 a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libsvtav1", rate=10, options={"preset": "12"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for k in range(20):
            frame = av.VideoFrame.from_ndarray(plain((10 * k, 200 - 10 * k, 40)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
