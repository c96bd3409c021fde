"""Tell whether two paths name one file."""

from __future__ import annotations

import unicodedata
from pathlib import Path


class Places:
    """Finds the file behind a path, however it is spelled; remembers folders, for there are many paths."""

    def __init__(self) -> None:
        self._folders: dict[Path, Path] = {}
        self._seen: dict[str, list[Path]] = {}

    def place(self, path: Path) -> Path:
        """The absolute path without ``..`` and without links to folders; a link to a file stays one."""
        if path.name in ("", ".."):
            return resolved(path)
        if path.parent not in self._folders:
            self._folders[path.parent] = resolved(path.parent)
        return self._folders[path.parent] / path.name

    def real(self, path: Path) -> Path:
        """The absolute path after links, as :func:`resolved` returns it."""
        place = self.place(path)
        return resolved(place) if _is_link(place) else place

    def file(self, path: Path) -> Path:
        """The one path that stands for the file, after links.

        Where the disk does not tell case or Unicode forms apart, it is the one that was asked for first.
        """
        real = self.real(path)
        alike = self._seen.setdefault(unicodedata.normalize("NFC", str(real)).casefold(), [])
        for other in alike:
            if other == real or _is_same(other, real):
                return other
        alike.append(real)
        return real


def resolved(path: Path) -> Path:
    """The absolute path after links; of a name that no file can have, just the absolute one."""
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):  # no name of a file, or links in a circle
        return Path.cwd() / path


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
