"""The bounded queue: its order, what it drops, when it waits, and its end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from s2d_edge.firmware_host.pipeline.queues import BoundedQueue, QueueClosed, WhenFull


def size_of(item: int) -> int:
    """Bytes of an item; some are larger than a queue may be."""
    return item * 7 % 16


class QueueMachine(RuleBasedStateMachine):
    """A queue beside a plain list that does what the queue should do; nothing here would wait."""

    @initialize(
        capacity=st.integers(1, 5), when_full=st.sampled_from(WhenFull), most_bytes=st.integers(1, 12)
    )
    def make(self, capacity: int, when_full: WhenFull, most_bytes: int) -> None:
        self.queue: BoundedQueue[int] = BoundedQueue(
            capacity, when_full, most_bytes=most_bytes, size_of=size_of
        )
        self.most_bytes = most_bytes
        self.capacity = capacity
        self.when_full = when_full
        self.items: list[int] = []
        self.dropped = 0
        self.closed = False
        self.put_so_far = 0

    def full(self) -> bool:
        """True where the next item has no room."""
        together = sum(map(size_of, [*self.items, self.put_so_far]))
        return len(self.items) == self.capacity or (bool(self.items) and together > self.most_bytes)

    @precondition(lambda self: not self.closed and not (self.full() and self.when_full is WhenFull.WAIT))
    @rule()
    def put(self) -> None:
        while self.full():
            self.items.pop(0)
            self.dropped += 1
        self.queue.put(self.put_so_far)
        self.items.append(self.put_so_far)
        self.put_so_far += 1

    @precondition(lambda self: self.items)
    @rule()
    def get(self) -> None:
        assert self.queue.get() == self.items.pop(0)

    @rule()
    def close(self) -> None:
        self.queue.close()
        self.closed = True

    @rule()
    def abort(self) -> None:
        self.queue.abort()
        self.items.clear()
        self.closed = True

    @precondition(lambda self: self.closed)
    @rule()
    def put_into_closed(self) -> None:
        with pytest.raises(QueueClosed):
            self.queue.put(-1)

    @precondition(lambda self: self.closed)
    @rule()
    def read_to_the_end(self) -> None:
        assert list(self.queue) == self.items
        self.items.clear()
        with pytest.raises(QueueClosed):
            self.queue.get()

    @invariant()
    def counts_what_it_dropped(self) -> None:
        if hasattr(self, "queue"):
            assert self.queue.dropped == self.dropped
            assert self.queue.held_bytes == sum(map(size_of, self.items))
            assert len(self.items) <= 1 or self.queue.held_bytes <= self.most_bytes


TestQueueMachine = QueueMachine.TestCase


def test_waiting_queue_hands_over_everything_in_order() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2, WhenFull.WAIT)

    def fill() -> None:
        for item in range(50):
            queue.put(item)
        queue.close()

    writer = threading.Thread(target=fill)
    writer.start()
    assert list(queue) == list(range(50))
    writer.join()
    assert queue.dropped == 0


def test_waiting_queue_hands_over_items_that_are_large_together() -> None:
    queue: BoundedQueue[int] = BoundedQueue(9, WhenFull.WAIT, most_bytes=3, size_of=lambda item: item % 5)
    held: list[int] = []

    def fill() -> None:
        for item in range(50):
            queue.put(item)
            held.append(queue.held_bytes)
        queue.close()

    writer = threading.Thread(target=fill)
    writer.start()
    assert list(queue) == list(range(50))
    writer.join()
    assert (queue.dropped, queue.held_bytes) == (0, 0)
    assert max(held) <= 4  # a single item may be larger


@pytest.mark.parametrize("end", [BoundedQueue.close, BoundedQueue.abort], ids=["close", "abort"])
def test_closing_frees_a_waiting_writer_and_a_waiting_reader(
    end: Callable[[BoundedQueue[int]], None],
) -> None:
    full: BoundedQueue[int] = BoundedQueue(1, WhenFull.WAIT)
    full.put(0)
    empty: BoundedQueue[int] = BoundedQueue(1, WhenFull.WAIT)
    freed: list[str] = []

    def wait(name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except QueueClosed:
            freed.append(name)

    threads = [
        threading.Thread(target=wait, args=("writer", lambda: full.put(1))),
        threading.Thread(target=wait, args=("reader", empty.get)),
    ]
    for thread in threads:
        thread.start()
    end(full)
    end(empty)
    for thread in threads:
        thread.join()
    assert sorted(freed) == ["reader", "writer"]
