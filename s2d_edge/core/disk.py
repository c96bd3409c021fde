"""A disk that refuses a file: which file, why, and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PROBE_BYTES = 1 << 20
_WHAT_TO_DO = {
    errno.ENOENT: "check the path",
    errno.EISDIR: "give a file instead of a folder",
    errno.ENOTDIR: "check the path",
    errno.EROFS: "give a place that can be written",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
}


def is_full(error: OSError) -> bool:
    """True if a file could not be written for lack of room: on the disk, in a quota, by a limit of size."""
    return error.errno in FULL


def refused(error: OSError, otherwise: Path) -> str:
    """The beginning of a sentence on a file that could not be written, up to how to go on.

    Args:
        otherwise: the file or folder to name where the error names none.
    """
    remedy = "make room on its disk" if is_full(error) else "make it writable"
    return f"{error.filename2 or error.filename or otherwise} cannot be written ({error.strerror}); {remedy}"


def sentence_of(error: OSError) -> str:
    """Say which file the operating system refused, why, and what to do."""
    if error.errno is None or error.strerror is None:
        return str(error)
    if is_full(error):
        return refused(error, Path("a file"))
    named = error.filename2 or error.filename
    remedy = _WHAT_TO_DO.get(error.errno)
    return (f"{named}: " if named is not None else "") + error.strerror + (f"; {remedy}" if remedy else "")


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn a library's own error on a disk that refuses ``path`` into the operating system's.

    OpenVINO and NumPy do not say why a file could not be written. So it is tried once more.
    """
    try:
        yield
    except (RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        _try_to_write(path)
        raise


def _try_to_write(path: Path) -> None:
    probe = path.with_name(f".{path.name[:100]}.probe")
    try:
        with probe.open("wb") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        probe.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, scratch: Path) -> Iterator[None]:
    """Let the errors of a write name ``path``, not the ``scratch`` beside it, nor no file at all."""
    try:
        yield
    except OSError as error:
        written = error.filename2 or error.filename  # the second is what a copy was to become
        if written is None and is_full(error):
            error.filename = str(path)
        elif written is not None and str(written).startswith(str(scratch)):
            error.filename = str(path) + str(written).removeprefix(str(scratch))
            error.filename2 = None
        raise
