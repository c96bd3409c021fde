"""The folder of files that can be made again."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from s2d_edge.core.errors import ConfigError


def cache_folder() -> Path:
    """The folder of files that can be made again: ``$S2D_EDGE_CACHE`` or ``s2d-edge`` in the user's cache.

    A user without a home that can be written, as in many containers, has one among the temporary files.

    Raises:
        ConfigError: a ``~`` that stands for no home, or a folder of temporary files that is another user's.
    """
    if own := os.environ.get("S2D_EDGE_CACHE"):
        return _expanded("S2D_EDGE_CACHE", own)
    if (base := os.environ.get("XDG_CACHE_HOME")) and _expanded("XDG_CACHE_HOME", base).is_absolute():
        return _expanded("XDG_CACHE_HOME", base) / "s2d-edge"
    try:
        folder = Path.home() / ".cache" / "s2d-edge"
        folder.mkdir(parents=True, exist_ok=True)
    except (RuntimeError, OSError):  # RuntimeError: neither HOME nor an entry in the system's list of users
        return _among_temporary_files()
    return folder if os.access(folder, os.W_OK) else _among_temporary_files()


def ensure_home() -> None:
    """Give a user without a home one among the temporary files; some libraries fail without.

    Raises:
        ConfigError: that folder is another user's.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(_among_temporary_files())


def _expanded(variable: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"{variable}={text} names a home that this user does not have; give it an absolute path"
        ) from None


def _among_temporary_files() -> Path:
    folder = Path(tempfile.gettempdir()) / f"s2d-edge-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    # Compiled models are loaded from here: nobody else may have put them there.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ConfigError(
            f"{folder} is not this user's alone, so nothing is cached in it; set S2D_EDGE_CACHE to a folder"
        )
    return folder
