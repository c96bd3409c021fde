"""Read from MP4 and QuickTime files what OpenCV does not tell: mirrors, edit lists, unknown codecs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from s2d_edge.media.tails import File

_MOST_HEADER_BYTES = 64 << 20  # of all tables of a file; hours of video need some MB
_WHOLE = 0  # an edit of this length lasts until the end

# Orientations of tracks that are shown mirrored, by the signs of a, b, c and d of their matrix.
_MIRRORED = {(-1, 0, 0, 1): 2, (1, 0, 0, -1): 4, (0, 1, 1, 0): 5, (0, -1, -1, 0): 7}


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """Presentation of the first video track of a file.

    Attributes:
        mirrored: the orientation, 2, 4, 5 or 7, of a mirrored track; None of others.
        shown: share of the track's time that its edit list shows, in (0, 1]; 1 without a list.
        codec: the four letters of its codec; empty where they are not known.
    """

    mirrored: int | None = None
    shown: float = 1.0
    codec: str = ""


def read_track_facts(path: Path) -> TrackFacts:
    """Read the facts of an MP4, MOV, M4V or 3GP file; of any other file, or of damage, there are none."""
    try:
        with path.open("rb") as file:
            return track_facts_in(file, path.stat().st_size)
    except OSError:
        return TrackFacts()


def track_facts_in(file: File, end: int) -> TrackFacts:
    """Return what :func:`read_track_facts` does, of an open file of ``end`` bytes."""
    try:
        movie = _read_movie(file, end)
        return TrackFacts() if movie is None else _facts(movie)
    except (OSError, struct.error, LookupError, ArithmeticError):
        return TrackFacts()


def _read_movie(file: File, end: int) -> bytes | None:
    """The content of the box ``moov``, which holds all tables."""
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        content = size - 8
        if size == 1:
            content = struct.unpack(">Q", file.read(8))[0] - 16
        if kind == b"moov":
            return file.read(min(content, _MOST_HEADER_BYTES)) if size != 0 else file.read()
        if size == 0 or not 0 <= content <= end or not kind.isascii():
            return None
        file.seek(content, 1)
    return None


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box in a row of them."""
    at = 0
    while at + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        if size < 8:
            return
        yield kind, content[at + 8 : at + size]
        at += size


def _inside(content: bytes, *kinds: bytes) -> bytes:
    """The content of the first box under a path of kinds; LookupError where there is none."""
    for kind in kinds:
        content = next((inner for found, inner in _boxes(content) if found == kind), b"")
        if not content:
            raise LookupError(kind)
    return content


def _facts(movie: bytes) -> TrackFacts:
    movie_scale, _ = _scale_and_length(_inside(movie, b"mvhd"))
    for kind, track in _boxes(movie):
        if kind == b"trak" and _inside(track, b"mdia", b"hdlr")[8:12] == b"vide":
            scale, length = _scale_and_length(_inside(track, b"mdia", b"mdhd"))
            return TrackFacts(
                mirrored=_mirrored(_inside(track, b"tkhd")),
                shown=_shown(track, 1 / movie_scale, 1 / scale, length / scale),
                codec=_inside(track, b"mdia", b"minf", b"stbl", b"stsd")[12:16].decode("ascii", "replace"),
            )
    return TrackFacts()


def _scale_and_length(header: bytes) -> tuple[int, int]:
    """Ticks per second and length in ticks, of a header of a movie or of a medium."""
    form, at = (">IQ", 20) if header[0] == 1 else (">II", 12)
    scale, length = struct.unpack_from(form, header, at)
    return int(scale), int(length)


def _mirrored(header: bytes) -> int | None:
    a, b, _, c, d = struct.unpack_from(">5i", header, 52 if header[0] == 1 else 40)
    signs = [(value > 0) - (value < 0) for value in (a, b, c, d)]
    return _MIRRORED.get(tuple(signs))


def _shown(track: bytes, movie_tick_s: float, tick_s: float, lasts_s: float) -> float:
    """Share of a track's time that its edit list shows."""
    try:
        edits = _inside(track, b"edts", b"elst")
    except LookupError:
        return 1.0
    form = ">QqI" if edits[0] == 1 else ">IiI"
    (count,) = struct.unpack_from(">I", edits, 4)
    shown_s = 0.0
    for k in range(min(count, len(edits) // struct.calcsize(form))):
        length, start, _ = struct.unpack_from(form, edits, 8 + k * struct.calcsize(form))
        if start >= 0:  # others are pauses, which hold no frame
            # A start also stands for frames that are decoded before they are shown, so it takes nothing away.
            shown_s += lasts_s - start * tick_s if length == _WHOLE else min(length * movie_tick_s, lasts_s)
    share = shown_s / lasts_s
    return share if 0 < share <= 1 else 1.0
