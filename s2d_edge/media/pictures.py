"""Read pictures and folders of frames, and recognise media files by their suffix."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from s2d_edge.core.errors import MediaError
from s2d_edge.media.crop import Picture

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})


def read_image(path: Path) -> Picture:
    """Decode a picture, turned upright by its EXIF orientation.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        MediaError: missing, empty, not a picture, or truncated (no grey fill for lost rows).
    """
    check_file(path, "picture")
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # Pillow's own conversion would clip, not scale
                grey = (np.asarray(upright) >> 8).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)  # (H, W, 3)
            return np.array(upright.convert("RGB"), np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(
            f"{path} cannot be decoded as a picture ({error}); is it damaged or cut short?"
        ) from None


def media_kind(path: Path) -> Literal["folder", "picture", "video"]:
    """Kind of the clip at ``path``, by its name alone.

    Raises:
        MediaError: nothing is there, or a file of another kind.
    """
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise MediaError(f"{path} does not exist; give a video, a picture or a folder of frames")
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return "picture"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    kinds = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
    raise MediaError(
        f"{path} is neither a folder of frames nor a known kind of file; leave it out, or give one of {kinds}"
    )


def frame_paths(folder: Path) -> list[Path]:
    """The pictures of a frame folder in natural name order (2 before 10).

    Raises:
        MediaError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise MediaError(f"{folder} is not a folder; name a folder of frames")
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
    if not paths:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise MediaError(f"{folder} holds no picture ({kinds}); put frames there, or name another folder")
    return sorted(paths, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which ``frame2`` comes before ``frame10``."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def check_file(path: Path, kind: str) -> None:
    """Check that a path is a readable, non-empty file.

    Args:
        kind: ``picture`` or ``video``, for the message.

    Raises:
        MediaError: missing, not a file, not readable, or empty.
    """
    if not path.exists():
        raise MediaError(f"there is no file {path}; check the path")
    if not path.is_file():
        raise MediaError(f"{path} is not a file; name a {kind} file")
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise MediaError(f"{path} cannot be read ({error.strerror}); check its permissions") from None
    if size == 0:
        raise MediaError(f"{path} is empty (0 bytes); copy or record it again")
