"""Work shared out over processes, its results in order."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_QUEUED_PER_WORKER = 4  # bounds memory when the consumer is slower than the processes


def map_in_processes(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    *,
    start: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """``work`` of each item, in the order of the items, a few ahead of the consumer.

    Args:
        work: a function of a module, so that a process can find it.
        workers: processes.
        start: called in each process first, with ``arguments``.

    Raises:
        Exception: what ``work`` raises, when its item's turn comes.
    """
    # Spawned, not forked: the parent may hold threads (an engine's, MediaPipe's) that a fork would break.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (start, arguments))
    try:
        queue = iter(items)
        running: deque[Future[Result]] = deque()
        while True:
            room = workers * _QUEUED_PER_WORKER - len(running)
            running.extend(pool.submit(work, item) for item in islice(queue, room))
            if not running:
                return
            yield running.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(start: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle, once
    if start is not None:
        start(*arguments)
