"""Names and labels that files and folders can safely be called by, and what is wrong with others."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

MOST_BYTES = 200  # of 255 that a file name may have: `-int8`, a server's name and a scratch suffix are added
_SEPARATORS = ("/", "\\")


def text_fault(text: str) -> str:
    """Return what makes a text unfit for a label or a tensor's name; empty if nothing does."""
    return characters_fault(text) if text.strip() else "is empty"


def characters_fault(text: str) -> str:
    """Return what makes the characters of a text unfit for one line of UTF-8; empty if nothing does."""
    if text.isprintable():  # nearly all are, and listings hold many
        return ""
    for character in text:
        if unicodedata.category(character) in ("Cc", "Zl", "Zp"):
            return f"holds the control character {character!r}"
        if unicodedata.category(character) == "Cs":
            return f"holds {character!r}, which is no character of UTF-8"
    return ""


def name_fault(name: str) -> str:
    """Return what makes a text unfit for the name of a file or folder; empty if nothing does."""
    if fault := text_fault(name):
        return fault
    if name in (".", "..") or any(separator in name for separator in _SEPARATORS):
        return "is a path, where a plain name is wanted"
    if len(name.encode()) > MOST_BYTES:
        return f"is longer than {MOST_BYTES} bytes"
    return ""


def file_fault(path: str) -> str:
    """Return what makes a text unfit for a path to a file inside a folder; empty if nothing does."""
    if fault := text_fault(path):
        return fault
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path:
        return "lies outside the folder"
    if str(pure) != path or path == ".":
        return "is no plain relative path"
    return ""


def labels_fault(labels: Sequence[str]) -> str:
    """Return what makes texts unfit for class labels; empty if nothing does."""
    for label in labels:
        if fault := text_fault(label):
            return f"the label {label!r} {fault}"
    repeated = [label for number, label in enumerate(labels) if label in labels[:number]]
    return f"the label {repeated[0]!r} is there twice" if repeated else ""


def name_of(folder: Path) -> str:
    """Return the name of a folder that is written, with ``_`` for characters that no name may hold.

    ``.`` and ``a/..`` have the name of the folder that they stand for.
    """
    name = folder.resolve().name if folder.name in ("", "..") else folder.name
    kept = "".join("_" if characters_fault(each) or each in _SEPARATORS else each for each in name)
    short = kept.encode()[:MOST_BYTES].decode(errors="ignore")
    return short if not name_fault(short) else "unnamed"
