"""Guard calls of Pillow, and read how a picture is to be turned from EXIF in any state."""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import ExifTags, Image

from s2d_edge.core.errors import MediaError
from s2d_edge.media.upright import UPRIGHT

# Pillow logs some damage; the error that it raises says so too. An application's own handlers still hear it.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_ORIENTATION = ExifTags.Base.Orientation.value
_ENTRY_BYTES = 12
_AN = {"animation": "an"}


@contextmanager
def decoding(path: Path, what: str) -> Iterator[None]:
    """Turn whatever Pillow raises in the block into one error that names the file, and silence its warnings.

    Args:
        what: ``picture`` or ``animation``, for the message.

    Raises:
        MediaError: the block raised.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MediaError:
        raise
    except Exception as error:  # Pillow's formats raise whatever damage leads them to
        reason = str(error) or type(error).__name__
        raise MediaError(
            f"{path} cannot be decoded as {_AN.get(what, 'a')} {what} ({reason}); is it damaged or cut short?"
        ) from None


def take_orientation(image: Image.Image) -> int:
    """Read the orientation of an opened picture from its EXIF or XMP tag, 1 to 8; 1 where no tag says so.

    Call it before the pixels are read. The tag is taken out of the opened picture, since Pillow turns some
    formats by it in some versions. A damaged block never raises: the tag is found whatever surrounds it.
    """
    try:
        value = _as_number(image.getexif().pop(_ORIENTATION, None))
    except Exception:  # Pillow raises whatever damage leads it to
        value = None
    if value is None:  # Pillow ends at the first damaged entry; the tag may come later
        value = _tag_in(image.info.get("exif"))
    return value if value is not None and 1 <= value <= 8 else UPRIGHT


def _as_number(value: object) -> int | None:
    """A tag's value as an integer, also from the types that careless writers choose."""
    if isinstance(value, tuple):
        value = value[0] if value else None
    if isinstance(value, bytes):
        return value[0] if len(value) == 1 else None
    if isinstance(value, str):
        return int(value) if value.isdecimal() and value.isascii() else None
    try:
        return None if value is None else int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, ArithmeticError):
        return None


def _tag_in(exif: object) -> int | None:
    """The orientation in the first directory of an EXIF block, found without reading any other entry."""
    if not isinstance(exif, bytes):
        return None
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return None
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    for at in range(start + 2, len(block) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", block, at)
        if (tag, kind, count) == (_ORIENTATION, 3, 1):  # one short
            return int(value)
    return None
