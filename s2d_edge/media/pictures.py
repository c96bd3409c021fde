"""Read pictures and folders of frames."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from s2d_edge.core.errors import MediaError
from s2d_edge.media.crop import Picture
from s2d_edge.media.kinds import IMAGE_SUFFIXES, file_kind, is_heic
from s2d_edge.media.pillow import decoding, take_orientation
from s2d_edge.media.upright import turn_upright

# Formats without 32 bits, of which Pillow opens 16 as 32.
_NEVER_WIDER = frozenset({"PNG", "PPM"})
_MOVING = frozenset({"GIF", "PNG", "WEBP", "AVIF"})


def read_image(path: Path) -> Picture:
    """Decode a picture, turned upright by its EXIF orientation.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        MediaError: missing, empty, not a picture, or truncated (no grey fill for lost rows); an animation,
            a codec that Pillow lacks, or values of 32 bits.
    """
    check_file(path, "picture")
    try:
        return _decoded(path)
    except MediaError:
        if not is_heic(path):
            raise
        raise MediaError(
            f"{path} is coded as HEIC, which Pillow cannot decode; convert it: heif-convert {path.name} "
            f"{path.stem}.jpg"
        ) from None


def _decoded(path: Path) -> Picture:
    with decoding(path, "picture"), Image.open(path) as image:
        moves = image.format in _MOVING and getattr(image, "is_animated", False)
        if moves:
            raise MediaError(
                f"{path} is an animation, where one picture was wanted; give it as a clip of its own"
            )
        orientation = take_orientation(image)
        return turn_upright(_as_rgb(image, path), orientation)


def _as_rgb(image: Image.Image, path: Path) -> Picture:
    """The pixels of an opened picture, (H, W, 3) uint8 RGB."""
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format in _NEVER_WIDER)
    if image.mode in ("I", "F") and not sixteen:  # 32 bits: which value is white is anybody's guess
        raise MediaError(f"{path} holds values of 32 bits; save it as a picture of 8 or 16 bits")
    if sixteen:  # Pillow's own conversion would clip, not scale
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)  # (H, W, 3)
    return np.array(image.convert("RGB"), np.uint8)


def frame_paths(folder: Path) -> list[Path]:
    """The pictures of a frame folder in natural name order (2 before 10).

    A file is a picture by its suffix, or by its content whatever the suffix.

    Raises:
        MediaError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise MediaError(f"{folder} is not a folder; name a folder of frames")
    paths = [
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and (path.is_file() or leads_nowhere(path)) and _is_picture(path)
    ]
    if not paths:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise MediaError(f"{folder} holds no picture ({kinds}); put frames there, or name another folder")
    return sorted(paths, key=lambda path: natural_key(path.name))


def leads_nowhere(path: Path) -> str | None:
    """The message about a link whose target is gone; None for anything else."""
    try:
        if path.is_symlink() and not path.exists():
            return f"{path} is a link to {path.readlink()}, which does not exist; restore that, or the link"
    except (OSError, ValueError):  # no name of a file, or links in a circle
        pass
    return None


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES or file_kind(path) == "picture"


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which ``frame2`` comes before ``frame10``."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def check_file(path: Path, kind: str) -> None:
    """Check that a path is a readable, non-empty file.

    Args:
        kind: ``picture`` or ``video``, for the message.

    Raises:
        MediaError: missing, a link that leads nowhere, not a file, not readable, or empty.
    """
    if gone := leads_nowhere(path):
        raise MediaError(gone)
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
