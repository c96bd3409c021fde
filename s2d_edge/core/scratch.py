"""Tell scratch folders in use from those that a killed command left behind, and remove the latter.

Whoever writes into one holds a lock on it. The lock ends with its process, however that ends.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # no POSIX: nothing is known to be left behind
    fcntl = None  # type: ignore[assignment]

# One so young may not be locked yet. A claimed name is another's only where a dot ends what both share.
_YOUNG_S, _YOUNG_AND_CLAIMED_S = 60.0, 2.0


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Hold a lock on a scratch folder, so that no other command takes it for abandoned."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def sweep(parent: Path, names: str, *, claimed: bool = False) -> int:
    """Remove the scratch folders directly under ``parent`` that nobody is writing into; returns their number.

    Where the file system has no locks, nothing is removed.

    Args:
        names: a regular expression of the names that the folders would have got. Others are someone else's.
        claimed: this process has claimed the names, so that hardly anyone begins to write one just now.
    """
    if fcntl is None or not parent.is_dir():
        return 0
    ours = re.compile(rf"\.(?:{names})\.[0-9a-f]{{8}}(\.old)?")
    least_age_s = _YOUNG_AND_CLAIMED_S if claimed else _YOUNG_S
    return sum(
        _remove(folder, least_age_s) for folder in list(parent.iterdir()) if ours.fullmatch(folder.name)
    )


def _remove(folder: Path, least_age_s: float) -> bool:
    try:
        if time.time() - folder.lstat().st_mtime < least_age_s:
            return False
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
