"""Standard input, output and errors of a process that was started without them, or whose reader has left."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def ensure_standard_files() -> None:
    """Take the numbers 0 to 2 where they are free, or a file opened later would get what is printed.

    What is written to a closed stdout still fails, since it is lost; messages to a closed stderr are not.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest free number
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def drop_unwritten() -> None:
    """Forget what stdout could not take, or the interpreter tries again when it ends, and complains."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
