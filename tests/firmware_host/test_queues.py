"""The bounded queue: what it drops, what it waits for, and how it ends."""

from __future__ import annotations

import threading

import pytest

from s2d_edge.firmware_host.pipeline.queues import BoundedQueue, QueueClosed, WhenFull


def test_dropping_queue_keeps_the_newest_and_counts() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2, WhenFull.DROP_OLDEST)
    for item in range(5):
        queue.put(item)
    queue.close()
    assert (queue.get(), queue.get(), queue.dropped) == (3, 4, 3)
    with pytest.raises(QueueClosed):
        queue.get()
    with pytest.raises(QueueClosed):
        queue.put(5)


def test_waiting_queue_loses_nothing() -> None:
    queue: BoundedQueue[int] = BoundedQueue(2, WhenFull.WAIT)

    def fill() -> None:
        for item in range(50):
            queue.put(item)
        queue.close()

    writer = threading.Thread(target=fill)
    writer.start()
    taken = [queue.get() for _ in range(50)]
    writer.join()
    assert taken == list(range(50))
    assert queue.dropped == 0


def test_abort_frees_a_waiting_writer() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1, WhenFull.WAIT)
    queue.put(0)
    freed = threading.Event()

    def put() -> None:
        try:
            queue.put(1)
        except QueueClosed:
            freed.set()

    writer = threading.Thread(target=put)
    writer.start()
    queue.abort()
    writer.join()
    assert freed.is_set()
    with pytest.raises(QueueClosed):
        queue.get()
