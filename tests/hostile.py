"""Damaged and random content for everything that reads files it did not write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

# Bytes that are no JSON object: each ends in another exception of the standard library, or in none at all.
DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"1",
    b'"text"',
    b"\x00",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{",  # after a byte order mark
    b'{"a": "\xe9"}',  # Latin-1
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a": ' + b"9" * 5000 + b"}",
]

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**310)
    | st.floats(allow_nan=False)
    | st.text(max_size=10)
    | st.sampled_from(["", "\x00", "a\nb", "../x", "/", "x" * 300, "\ud800"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a JSON tree, the root's first."""
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def mutated(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of a JSON tree with one value replaced."""
    if not path:
        return value
    copy = json.loads(json.dumps(tree))
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return copy


def csv_text() -> st.SearchStrategy[str]:
    """Text that looks like CSV more often than not."""
    cell = st.text(max_size=6) | st.sampled_from(
        [
            "path",
            "label",
            "split",
            "subject",
            "a.jpg",
            "sad",
            '"',
            '"a\nb"',
            "\x00",
            "..",
            "/",
            "x" * 300,
            "--5",
        ]
    )
    row = st.lists(cell, max_size=5).map(",".join)
    return st.lists(row, max_size=6).map("\n".join)
