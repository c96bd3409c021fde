"""Look at the last bytes of video files whose containers promise no number of frames: are they whole?"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_HEAD_BYTES = 4096
_TRANSPORT_PACKETS = ((188, 0), (192, 4), (204, 0))  # bytes of one, and of those before its first
_SYNC = 0x47
_PACK, _END_OF_PROGRAM, _FIRST_WITH_LENGTH = 0xBA, 0xB9, 0xBB
_LONGEST_PACK = 1 << 17  # bytes; real ones have 2048, and a packet in one 65,541 at most
_LONGEST_PAGE = 65_307  # bytes, of Ogg
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_OF_A_BROADCAST = 1


class File(Protocol):
    """An open file, here or elsewhere."""

    def seek(self, offset: int, whence: int = ..., /) -> int: ...
    def read(self, count: int = ..., /) -> bytes: ...


def missing_end(path: Path) -> str:
    """Say in words what a video file lacks at its end; empty where nothing tells that it lacks anything.

    Transport and program streams, Windows Media, Ogg and rows of JPEGs are looked at. One that was cut
    between two of its packets cannot be told from a whole one.
    """
    try:
        with path.open("rb") as file:
            return missing_end_in(file, path.stat().st_size)
    except OSError:
        return ""


def missing_end_in(file: File, size: int) -> str:
    """Return what :func:`missing_end` does, of an open file of ``size`` bytes."""
    try:
        head = file.read(_HEAD_BYTES)
        known = (look for begins, look in _BY_BEGINNING.items() if head.startswith(begins))
        return next(known, _of_transport)(file, head, size)
    except (OSError, LookupError, ValueError, struct.error):
        return ""


def _of_transport(file: File, head: bytes, size: int) -> str:
    for step, before in _TRANSPORT_PACKETS:
        if len(head) > before + 3 * step and all(head[before + k * step] == _SYNC for k in range(4)):
            rest = size % step
            padded = not any(_last(file, size, rest))
            return "" if not rest or padded else f"its last packet has {rest} of {step} bytes"
    return ""


def _of_program(file: File, head: bytes, size: int) -> str:
    """Walk through the packets of the last pack."""
    data = _last(file, size, _LONGEST_PACK)
    at = data.rindex(bytes((0, 0, 1, _PACK)))
    while at < len(data):
        if len(data) - at < 4:
            return f"its last packet has {len(data) - at} bytes"
        if data[at : at + 3] != b"\0\0\1":  # such as padding
            return ""
        code = data[at + 3]
        if code == _END_OF_PROGRAM:
            return ""
        if code == _PACK:
            length = 14 + (data[at + 13] & 7) if data[at + 4] >> 6 == 1 else 12
        elif code >= _FIRST_WITH_LENGTH:
            length = 6 + struct.unpack_from(">H", data, at + 4)[0]
        else:
            return ""
        if at + length > len(data):
            return f"its last packet has {len(data) - at} of {length} bytes"
        at += length
    return ""


def _of_windows_media(file: File, head: bytes, size: int) -> str:
    at = head.index(_FILE_PROPERTIES)
    (promised,) = struct.unpack_from("<Q", head, at + 40)
    (flags,) = struct.unpack_from("<I", head, at + 88)
    if flags & _OF_A_BROADCAST or size >= promised:
        return ""
    return f"it has {size:,} of {promised:,} bytes"


def _of_ogg(file: File, head: bytes, size: int) -> str:
    data = _last(file, size, 2 * _LONGEST_PAGE)
    at = data.rindex(b"OggS")
    segments = data[at + 27 : at + 27 + data[at + 26]]
    length = 27 + data[at + 26] + sum(segments)
    return "" if at + length <= len(data) else f"its last page has {len(data) - at} of {length} bytes"


def _of_jpegs(file: File, head: bytes, size: int) -> str:
    whole = _last(file, size, 4096).rstrip(b"\0").endswith(b"\xff\xd9")
    return "" if whole else "its last picture has no end"


def _last(file: File, size: int, count: int) -> bytes:
    file.seek(max(size - count, 0))
    return file.read(count)


_BY_BEGINNING: dict[bytes, Callable[[File, bytes, int], str]] = {
    bytes((0, 0, 1, _PACK)): _of_program,
    b"0&\xb2u\x8ef\xcf\x11": _of_windows_media,
    b"OggS": _of_ogg,
    b"\xff\xd8\xff": _of_jpegs,
}
