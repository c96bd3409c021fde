"""Tell scratch folders in use from those that a killed command left behind, and remove the latter.

Whoever writes into one holds a lock on it, which ends with its process.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s2d_edge.core.disk import is_full, refused
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.core.locks import Lock, lock

# One so young may not be locked yet. A claimed name is another's only where a dot ends what both share.
_YOUNG_S, _YOUNG_AND_CLAIMED_S = 60.0, 2.0
_TEMPORARY = "s2d-edge"


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Hold a lock on a scratch folder, so that no other command takes it for abandoned."""
    handle = os.open(folder, os.O_RDONLY) if os.name == "posix" else None
    if handle is None:  # elsewhere folders cannot be opened, and nothing is known to be left behind
        yield
        return
    try:
        lock(handle, shared=True)
        yield
    finally:
        os.close(handle)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield an empty folder among the temporary files, which is removed at the end.

    What killed commands left there is removed at the beginning.

    Raises:
        S2DEdgeError: their disk is full.
    """
    parent = Path(tempfile.gettempdir())
    sweep(parent, _TEMPORARY)
    folder = parent / scratch_name(_TEMPORARY)
    try:
        folder.mkdir(mode=0o700)
        with in_use(folder):
            yield folder
    except OSError as error:
        if is_full(error) and str(error.filename2 or error.filename).startswith(str(folder)):
            raise S2DEdgeError(
                f"{refused(error, folder)}, or set TMPDIR to a folder on another disk, and repeat the command"
            ) from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scratch_name(start: str) -> str:
    """A hidden name that nothing has, as :func:`sweep` knows it."""
    return f".{start}.{secrets.token_hex(4)}"


def sweep(parent: Path, names: str, *, claimed: bool = False) -> int:
    """Remove the scratch folders directly under ``parent`` that nobody is writing into; returns their number.

    Where the file system has no locks, nothing is removed.

    Args:
        names: a regular expression of the names that the folders would have got. Others are someone else's.
        claimed: this process has claimed the names, so that hardly anyone begins to write one just now.
    """
    if os.name != "posix":
        return 0
    ours = re.compile(rf"\.(?:{names})\.[0-9a-f]{{8}}(\.old)?")
    least_age_s = _YOUNG_AND_CLAIMED_S if claimed else _YOUNG_S
    try:
        found = [folder for folder in parent.iterdir() if ours.fullmatch(folder.name)]
    except OSError:  # it is not there, or may not be listed
        return 0
    return sum(_remove(folder, least_age_s) for folder in found)


def _remove(folder: Path, least_age_s: float) -> bool:
    try:
        if time.time() - folder.lstat().st_mtime < least_age_s:
            return False
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        if lock(handle) is not Lock.OURS:
            return False
        shutil.rmtree(folder)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
