"""Change the tables of an MP4 that OpenCV wrote, as phones, editors and other encoders write theirs."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

# a, b, c and d of the matrix of a track, by the EXIF number of how it is to be shown.
MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
_TRACK = (b"moov", b"trak")
_ENTRY_FIELDS = 78  # bytes of a sample entry of video before its own boxes


def set_orientation(path: Path, orientation: int) -> Path:
    """Give the track the matrix that shows it as a picture of this EXIF orientation is shown."""
    a, b, c, d = (value << 16 for value in MATRICES[orientation])

    def change(header: bytes) -> bytes:
        return header[:40] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + header[76:]

    return _change(path, (*_TRACK, b"tkhd"), change)


def set_edits(path: Path, edits: Sequence[tuple[float, float]]) -> Path:
    """Show these parts of the track only, each given by its start and length in seconds."""
    data = path.read_bytes()
    movie_scale = struct.unpack_from(">I", data, data.rindex(b"mvhd") + 16)[0]
    scale = struct.unpack_from(">I", data, data.rindex(b"mdhd") + 16)[0]
    rows = b"".join(
        struct.pack(">IiI", round(length * movie_scale), round(start * scale), 1 << 16)
        for start, length in edits
    )
    listed = _box(b"elst", struct.pack(">II", 0, len(edits)) + rows)
    return _change(path, _TRACK, lambda track: _without(track, b"edts") + _box(b"edts", listed))


def set_pixel_aspect(path: Path, wide: int, high: int) -> Path:
    """Make the track's pixels ``wide`` times as wide as ``high`` are high."""

    def change(table: bytes) -> bytes:
        kind, entry = _boxes(table[8:])[0]  # behind a version and a count
        kept = entry[:_ENTRY_FIELDS] + _without(entry[_ENTRY_FIELDS:], b"pasp")
        return table[:8] + _box(kind, kept + _box(b"pasp", struct.pack(">II", wide, high)))

    return _change(path, (*_TRACK, b"mdia", b"minf", b"stbl", b"stsd"), change)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        found.append((kind, content[at + 8 : at + size]))
        at += size
    return found


def _without(content: bytes, kind: bytes) -> bytes:
    return b"".join(_box(found, inner) for found, inner in _boxes(content) if found != kind)


def _change(path: Path, place: tuple[bytes, ...], change: Callable[[bytes], bytes]) -> Path:
    """Change the content of a box behind the frames, which are found by their place in the file."""
    data = path.read_bytes()
    assert data.index(b"mdat") < data.index(b"moov")
    path.write_bytes(_changed(data, place, change))
    return path


def _changed(content: bytes, place: tuple[bytes, ...], change: Callable[[bytes], bytes]) -> bytes:
    if not place:
        return change(content)
    return b"".join(
        _box(kind, _changed(inner, place[1:], change) if kind == place[0] else inner)
        for kind, inner in _boxes(content)
    )
