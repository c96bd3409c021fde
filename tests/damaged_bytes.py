"""Bytes of a file as a bad copy or a bad disk may leave them."""

from __future__ import annotations

from hypothesis import strategies as st


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """Random bytes, the beginning of a file, or a file with some bytes replaced or missing; never itself."""

    def edit(changes: list[tuple[int, bytes]]) -> bytes:
        data = bytearray(whole)
        for at, byte in sorted(changes, reverse=True):
            data[at : at + 1] = byte
        return bytes(data)

    place = st.integers(0, len(whole) - 1)
    edits = st.lists(st.tuples(place, st.binary(max_size=1)), min_size=1, max_size=5)
    found = st.one_of(st.binary(max_size=200), place.map(lambda end: whole[:end]), edits.map(edit))
    return found.filter(lambda data: data != whole)
