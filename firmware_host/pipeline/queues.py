"""Bounded queues between the stages, whose policy when full has a name."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from threading import Condition
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class WhenFull(Enum):
    """The policy of a full queue for a new item.

    ``WAIT`` holds up the writer until there is room, so nothing of a file is lost. ``DROP_OLDEST`` makes
    room, so what is read of a camera is fresh, and counts what it dropped.
    """

    WAIT = "wait"
    DROP_OLDEST = "drop oldest"


class QueueClosed(Exception):
    """The queue is closed: nothing can be put into it; for a reader, it is empty too."""


class BoundedQueue(Generic[ItemT]):
    """First in, first out, between threads; iterating takes items until the queue is closed and empty."""

    def __init__(
        self,
        capacity: int,
        when_full: WhenFull,
        *,
        most_bytes: int = sys.maxsize,
        size_of: Callable[[ItemT], int] = lambda _: 0,
    ) -> None:
        """Start empty.

        Args:
            capacity: it is full with so many items.
            when_full: what becomes of a new item then.
            most_bytes: it is full, too, where one more item would take its items over so many bytes together;
                an empty queue takes any item.
            size_of: bytes of an item.
        """
        self._items: deque[ItemT] = deque()
        self._capacity = capacity
        self._when_full = when_full
        self._most_bytes = most_bytes
        self._size_of = size_of
        self._bytes = 0
        self._changed = Condition()
        self._closed = False
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Items dropped so far to make room for newer ones."""
        with self._changed:
            return self._dropped

    @property
    def held_bytes(self) -> int:
        """Bytes of the items inside."""
        with self._changed:
            return self._bytes

    def put(self, item: ItemT) -> None:
        """Add an item; a full queue waits for room, or drops its oldest item.

        Raises:
            QueueClosed: it is closed, or was closed while waiting.
        """
        with self._changed:
            if self._when_full is WhenFull.WAIT:
                self._changed.wait_for(lambda: self._closed or self._has_room_for(item))
            if self._closed:
                raise QueueClosed
            while not self._has_room_for(item):
                self._take_oldest()
                self._dropped += 1
            self._items.append(item)
            self._bytes += self._size_of(item)
            self._changed.notify_all()

    def get(self) -> ItemT:
        """Take the oldest item; an empty queue waits for one.

        Raises:
            QueueClosed: it is closed and empty.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items)
            if not self._items:
                raise QueueClosed
            item = self._take_oldest()
            self._changed.notify_all()
            return item

    def __iter__(self) -> Iterator[ItemT]:
        while True:
            try:
                item = self.get()
            except QueueClosed:
                return
            yield item

    def close(self) -> None:
        """Take no more items; those inside can still be read."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Take no more items and discard those inside."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()

    def _has_room_for(self, item: ItemT) -> bool:
        if not self._items:
            return True
        return len(self._items) < self._capacity and self._bytes + self._size_of(item) <= self._most_bytes

    def _take_oldest(self) -> ItemT:
        item = self._items.popleft()
        self._bytes -= self._size_of(item)
        return item
