"""Tell pictures from videos, by content where a name lies or says nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from PIL import Image

from s2d_edge.core.errors import MediaError
from s2d_edge.media.pillow import decoding

# fmt: off
IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm",
    ".jp2", ".avif", ".heic", ".heif",
})
VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".qt", ".avi", ".mkv", ".webm", ".flv", ".f4v", ".mpg", ".mpeg", ".vob", ".ts",
    ".mts", ".m2ts", ".3gp", ".3g2", ".wmv", ".asf", ".ogv", ".mxf", ".y4m", ".mjpeg", ".mjpg", ".h264",
    ".h265", ".hevc",
})
# fmt: on
# Pictures in a row, without a container: they begin as a picture does.
_ROWS_OF_PICTURES = frozenset({".mjpeg", ".mjpg"})
_HEAD_BYTES = 4096
# Windows' bitmaps begin with two letters only; a header of one of these sizes follows.
_BITMAP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_PICTURE_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"})
_TRANSPORT_PACKET = 188  # bytes; Blu-ray's puts four before each

Kind = Literal["picture", "animation", "video"]


def media_kind(path: Path) -> Literal["folder", "picture", "video"]:
    """Kind of the clip at ``path``, by its content, or by its name where the content says nothing.

    A GIF, PNG, WebP or AVIF file of several pictures is a video.

    Raises:
        MediaError: nothing is there, or a file of another kind.
    """
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise MediaError(f"{path} does not exist; give a video, a picture or a folder of frames")
    kind = file_kind(path)
    if kind is not None:
        return "picture" if kind == "picture" else "video"
    raise MediaError(
        f"{path} is neither a folder of frames nor a known kind of file; leave it out, or give a picture "
        "such as .jpg or a video such as .mp4"
    )


def file_kind(path: Path) -> Kind | None:
    """Kind of a file: by its content, else by its suffix; None where neither is known."""
    suffix = path.suffix.lower()
    kind = None if suffix in _ROWS_OF_PICTURES else _kind_of(_head(path), path)
    if kind is None and suffix in IMAGE_SUFFIXES:
        return "picture"
    if kind is None and suffix in VIDEO_SUFFIXES:
        return "video"
    return kind


def is_heic(path: Path) -> bool:
    """True for pictures as some phones take them, which Pillow cannot decode by itself."""
    head = _head(path)
    return head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS - {b"avif"}


def _head(path: Path) -> bytes:
    """The first bytes of a file; none of one that cannot be read, nor of a pipe, which would wait."""
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def _kind_of(head: bytes, path: Path) -> Kind | None:
    """Kind of a file that begins with ``head``; None where that is no known beginning."""
    for begins, kind in _BEGINNINGS.items():
        if head.startswith(begins):
            return kind(head, path) if callable(kind) else kind
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "picture" if brand in _PICTURE_BRANDS else "animation" if brand == b"avis" else "video"
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):  # QuickTime before MP4
        return "video"
    for before in (0, 4):
        step = _TRANSPORT_PACKET + before
        if len(head) > before + 3 * step and all(head[before + k * step] == 0x47 for k in range(4)):
            return "video"
    return None


def _riff(head: bytes, path: Path) -> Kind | None:
    if head[8:12] == b"AVI ":
        return "video"
    if head[8:12] != b"WEBP":
        return None
    moves = head[12:16] == b"VP8X" and len(head) > 20 and head[20] & 2
    return "animation" if moves else "picture"


def _png(head: bytes, path: Path) -> Kind:
    control, pixels = head.find(b"acTL"), head.find(b"IDAT")
    return "animation" if control >= 0 and (pixels < 0 or control < pixels) else "picture"


def _gif(head: bytes, path: Path) -> Kind:
    try:
        with decoding(path, "picture"), Image.open(path) as image:
            return "animation" if getattr(image, "is_animated", False) else "picture"
    except MediaError:  # reading it will say so
        return "picture"


def _bitmap(head: bytes, path: Path) -> Kind | None:
    return "picture" if int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS else None


_BEGINNINGS: dict[bytes, Kind | Callable[[bytes, Path], Kind | None]] = {
    b"\xff\xd8\xff": "picture",  # JPEG
    b"\x89PNG\r\n\x1a\n": _png,
    b"GIF87a": _gif,
    b"GIF89a": _gif,
    b"RIFF": _riff,
    b"BM": _bitmap,
    b"II*\0": "picture",  # TIFF
    b"MM\0*": "picture",
    b"\0\0\0\x0cjP  \r\n\x87\n": "picture",  # JPEG 2000
    b"\x1aE\xdf\xa3": "video",  # Matroska, WebM
    b"FLV\x01": "video",
    b"0&\xb2u\x8ef\xcf\x11": "video",  # Windows Media
    b"\0\0\x01\xba": "video",  # MPEG program stream
    b"\0\0\x01\xb3": "video",  # MPEG video
    b"OggS": "video",
    b"YUV4MPEG2": "video",
    b"\x06\x0e\x2b\x34": "video",  # MXF
}
