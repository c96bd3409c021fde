"""Bounded queues between the stages, whose policy when full has a name."""

from __future__ import annotations

from collections import deque
from enum import Enum
from threading import Condition
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class WhenFull(Enum):
    """What a full queue does with a new item.

    ``WAIT`` holds up the stage before it: nothing is lost, as a file deserves. ``DROP_OLDEST`` makes room:
    what comes out is fresh, as a camera's viewer deserves, and the loss is counted.
    """

    WAIT = "wait"
    DROP_OLDEST = "drop oldest"


class QueueClosed(Exception):
    """Nothing goes in any more; for the reader, nothing is left either."""


class BoundedQueue(Generic[ItemT]):
    """First in, first out, between two threads."""

    def __init__(self, capacity: int, when_full: WhenFull) -> None:
        self._items: deque[ItemT] = deque()
        self._capacity = capacity
        self._when_full = when_full
        self._changed = Condition()
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Items lost to newer ones so far."""
        return self._dropped

    def put(self, item: ItemT) -> None:
        """Add an item; waits or drops the oldest when full.

        Raises:
            QueueClosed: closed, also while waiting.
        """
        with self._changed:
            if self._when_full is WhenFull.WAIT:
                self._changed.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                raise QueueClosed
            if len(self._items) == self._capacity:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> ItemT:
        """Take the oldest item; waits for one.

        Raises:
            QueueClosed: closed and empty.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items)
            if not self._items:
                raise QueueClosed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """End the input; what is inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """End the input and discard what is inside."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
