"""Lock open files and folders, so that other processes see that they are in use.

A lock ends when the file is closed or its process ends, however that ends.
"""

from __future__ import annotations

from enum import Enum, auto

try:
    import fcntl
except ImportError:  # no POSIX
    fcntl = None  # type: ignore[assignment]


class Lock(Enum):
    """The outcome of locking.

    Attributes:
        OURS: locked.
        TAKEN: another process holds a lock, or this one through another handle.
        UNKNOWN: the file system, or the operating system, has no locks.
    """

    OURS = auto()
    TAKEN = auto()
    UNKNOWN = auto()


def lock(handle: int, *, shared: bool = False) -> Lock:
    """Lock an open file or folder, without waiting.

    Args:
        handle: its file descriptor.
        shared: other shared locks may be held at the same time.
    """
    if fcntl is None:
        return Lock.UNKNOWN
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.TAKEN
    except OSError:
        return Lock.UNKNOWN
    return Lock.OURS
