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


class QueueMachine(RuleBasedStateMachine):
    """A queue beside a plain list that does what the queue should do; nothing here would wait."""

    @initialize(capacity=st.integers(1, 5), when_full=st.sampled_from(WhenFull))
    def make(self, capacity: int, when_full: WhenFull) -> None:
        self.queue: BoundedQueue[int] = BoundedQueue(capacity, when_full)
        self.capacity = capacity
        self.when_full = when_full
        self.items: list[int] = []
        self.dropped = 0
        self.closed = False
        self.put_so_far = 0

    def full(self) -> bool:
        return len(self.items) == self.capacity

    @precondition(lambda self: not self.closed and not (self.full() and self.when_full is WhenFull.WAIT))
    @rule()
    def put(self) -> None:
        if self.full():
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
