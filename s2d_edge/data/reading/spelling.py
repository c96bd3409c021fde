"""Compare names that people type: labels, subjects, splits, column names."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from s2d_edge.contracts.names import characters_fault


def bare(text: str) -> str:
    """The text without its case, its blanks, its invisible characters and its Unicode form.

    Two names with equal results look the same, or nearly so, and are most likely one name.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    seen = "".join(c for c in folded if not c.isspace() and unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", seen)


def is_text(name: str) -> bool:
    """True if every character can be written in UTF-8 and printed in one line."""
    return not characters_fault(name)


def in_one_line(name: str) -> str:
    """The name for messages, with escapes for what cannot be printed."""
    return "".join(c if is_text(c) else repr(c)[1:-1] for c in name)


def spelled_apart(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different names whose :func:`bare` text is equal, each sorted, in the order of that text."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[bare(name)].add(name)
    return [tuple(sorted(group)) for _, group in sorted(groups.items()) if len(group) > 1]
