"""Small sound pictures and videos to be damaged, and reading what came of them to its end."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.data.preparing.clips import ClipLoader
from s2d_edge.data.preparing.sliding import slide
from s2d_edge.media.crop import Picture

SPEC = ClipSpec(frames=4, fps=5, size=32)
PICTURES = {".jpg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".webp": "WEBP", ".tif": "TIFF", ".gif": "GIF"}
PICTURES |= {".avif": "AVIF", ".jp2": "JPEG2000", ".ppm": "PPM"}
# Suffix and codec of what OpenCV writes everywhere.
VIDEOS = [
    (".avi", "MJPG"),
    (".avi", "mp4v"),
    (".mp4", "mp4v"),
    (".mkv", "mp4v"),
    (".mov", "MJPG"),
    (".flv", "FLV1"),
]
VIDEOS += [(".webm", "VP80"), (".wmv", "WMV2"), (".mpg", "MPG2"), (".ts", "MPG2")]
_FRAMES = 8


def sound_media(folder: Path) -> dict[str, list[bytes]]:
    """Write small sound files of every kind, and return their contents by suffix.

    Args:
        folder: scratch space.
    """
    rng = np.random.default_rng(0)
    frames: list[Picture] = [
        cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (48, 32)) for _ in range(_FRAMES)
    ]
    files: dict[str, list[bytes]] = {}
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "Maker", 72.0
    pictures = [Image.fromarray(frame) for frame in frames]
    for suffix, form in PICTURES.items():
        path = folder / f"a{suffix}"
        tags = {"exif": exif.tobytes()} if form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") else {}
        pictures[0].save(path, form, **tags)
        files.setdefault(suffix, []).append(path.read_bytes())
        if form in ("GIF", "PNG", "WEBP"):
            pictures[0].save(path, form, save_all=True, append_images=pictures[1:4], duration=100)
            files[suffix].append(path.read_bytes())
    for suffix, code in VIDEOS:
        path = folder / f"v{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25.0, (48, 32))
        if not writer.isOpened():
            continue  # a wheel without this encoder
        for frame in frames:
            writer.write(frame)
        writer.release()
        files.setdefault(suffix, []).append(path.read_bytes())
    return files


def read_to_the_end(path: Path) -> None:
    """Read a picture or video as every verb does, then window by window.

    Raises:
        S2DEdgeError: it cannot be read.
    """
    with ClipLoader(SPEC, None) as loader:
        clip = loader.load(path)
        assert clip.windows.shape[1:] == (SPEC.frames, SPEC.size, SPEC.size, 3)
        if clip.numbers is not None:
            for _ in slide(path, SPEC, 0.4, loader.cropper):
                pass
