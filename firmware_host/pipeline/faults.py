"""Single frames and clips that fail: a live source outlives them, and each is counted by its reason."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from s2d_edge.firmware_host.pipeline.queues import QueueClosed

ResultT = TypeVar("ResultT")
MOST_IN_A_ROW = 50  # after which it is not the frame that is at fault
REASONS_KEPT = 8
OTHER = "other reasons"


class Faults:
    """Counts the items that one stage could not do."""

    def __init__(self, what: str, *, forgiven: bool) -> None:
        """Start without any.

        Args:
            what: the items and what was not done, for people.
            forgiven: go on after one, as for a live source; a file's faults are raised.
        """
        self._what = what
        self._forgiven = forgiven
        self._in_a_row = 0
        self._lock = Lock()
        self._reasons: dict[str, int] = {}

    def attempt(self, work: Callable[[], ResultT]) -> ResultT | None:
        """Do the work for one item; None where it failed, and that is forgiven.

        Raises:
            Exception: what ``work`` raises, where it is not forgiven or comes too often in a row.
        """
        try:
            done = work()
        except QueueClosed:
            raise
        except Exception as error:
            self._in_a_row += 1
            if not self._forgiven or self._in_a_row > MOST_IN_A_ROW:
                raise
            self._count(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
            return None
        self._in_a_row = 0
        return done

    def _count(self, reason: str) -> None:
        with self._lock:
            if reason not in self._reasons and len(self._reasons) >= REASONS_KEPT:
                reason = OTHER
            self._reasons[reason] = self._reasons.get(reason, 0) + 1

    @property
    def total(self) -> int:
        """Items that failed so far."""
        with self._lock:
            return sum(self._reasons.values())

    def to_text(self) -> str:
        """The number of failures and their reasons, in one sentence; empty if there was none."""
        with self._lock:
            reasons = dict(self._reasons)
        if not reasons:
            return ""
        why = "; ".join(f"{count} × {reason}" for reason, count in reasons.items())
        return f"{sum(reasons.values())} {self._what} ({why})"
