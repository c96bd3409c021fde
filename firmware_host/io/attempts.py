"""Failures of one output of a live run: said once, counted, and tried again after growing pauses."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

RETRY_AFTER_S = (1.0, 2.0, 5.0, 10.0, 30.0)


class Attempts:
    """Decides when an output that failed is tried again, and counts what it lost.

    Used by one thread at a time.

    Attributes:
        lost: items that could not be written so far.
    """

    def __init__(self, name: str, items: str, warn: Callable[[str], None]) -> None:
        """Start without a failure.

        Args:
            name: of the output, for people.
            items: what it is written of, in the plural.
            warn: shows a sentence.
        """
        self.lost = 0
        self._name = name
        self._items = items
        self._warn = warn
        self._failures = 0  # in a row
        self._lost_before = 0
        self._again_s = 0.0

    @property
    def failing(self) -> bool:
        """True where the newest item that was tried could not be written."""
        return self._failures > 0

    @property
    def due(self) -> bool:
        """False while it failed so shortly ago that it is not tried again yet."""
        return not self._failures or time.monotonic() >= self._again_s

    def failed(self, error: Exception, *, final: bool = False) -> None:
        """Note that an item was lost, and why; said where the one before it was written.

        Args:
            error: that writing it raised.
            final: it will not be tried again.
        """
        if not self._failures:
            self._lost_before = self.lost
            then = "it is not tried again" if final else "it is tried again while the run goes on"
            self._warn(f"{self._name} cannot be written: {_reason(error)}; {then}")
        pause_s = RETRY_AFTER_S[min(self._failures, len(RETRY_AFTER_S) - 1)]
        self._again_s = float("inf") if final else time.monotonic() + pause_s
        self._failures += 1
        self.lost += 1

    def skipped(self) -> None:
        """Note an item that was lost because the output is not tried yet."""
        self.lost += 1

    def worked(self) -> None:
        """Note an item that was written; said where the one before it was lost."""
        if self._failures:
            self._failures = 0
            self._warn(
                f"{self._name} is written again; {self.lost - self._lost_before} {self._items} are missing"
            )


def _reason(error: Exception) -> str:
    """The reason that an error gives, for the middle of a sentence."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EPIPE:
        return "its reader closed it"
    if number == errno.ENXIO:
        return "it is a pipe that nobody reads"
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
