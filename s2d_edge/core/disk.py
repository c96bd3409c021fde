"""A disk that refuses a file: which file, why, and what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(error: OSError) -> bool:
    """True if a file could not be written for lack of room: on the disk, in a quota, by a limit of size."""
    return error.errno in FULL


def refused(error: OSError, otherwise: Path) -> str:
    """The beginning of a sentence on a file that could not be written, up to how to go on.

    Args:
        otherwise: the file or folder to name where the error names none.
    """
    remedy = "make room on its disk" if is_full(error) else "make it writable"
    return f"{error.filename or otherwise} cannot be written ({error.strerror}); {remedy}"


@contextmanager
def naming(path: Path, scratch: Path) -> Iterator[None]:
    """Let the errors of a write name ``path``, not the ``scratch`` beside it, nor no file at all."""
    try:
        yield
    except OSError as error:
        if error.filename is None and is_full(error):
            error.filename = str(path)
        elif error.filename is not None and str(error.filename).startswith(str(scratch)):
            error.filename = str(path) + str(error.filename).removeprefix(str(scratch))
        raise
