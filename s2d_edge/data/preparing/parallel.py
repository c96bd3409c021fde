"""Run work in several processes and yield its results in order."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import TypeVar

import cv2

from s2d_edge.core.errors import S2DEdgeError

Job = TypeVar("Job")
Result = TypeVar("Result")

_QUEUED_PER_WORKER = 4  # bounds memory when the consumer is slower than the processes


def usable_cores() -> int:
    """Number of cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_parallel(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    start: Callable[[], None] | None = None,
    chunk: int = 1,
) -> Generator[Result, None, None]:
    """Yield ``work(job)`` of every job, in the order of the jobs, a few ahead of the consumer.

    Args:
        work: a function at module level, so that other processes can import it.
        workers: processes; with 1 or fewer, all work is done in this one.
        start: called once in every process before its first job.
        chunk: number of jobs sent to a process at once.

    Raises:
        S2DEdgeError: a process ended by itself.
        Exception: what ``work`` raises, when its job's turn comes.
    """
    if workers <= 1:
        if start is not None:
            start()
        yield from map(work, jobs)
        return
    # Spawned, not forked: the caller may run threads (PyTorch, OpenVINO, MediaPipe) that a fork would break.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _enter, (start,))
    try:
        groups = (jobs[first : first + chunk] for first in range(0, len(jobs), chunk))
        running: deque[Future[list[Result]]] = deque()
        while True:
            room = workers * _QUEUED_PER_WORKER - len(running)
            running.extend(pool.submit(_each, work, group) for group in islice(groups, room))
            if not running:
                return
            yield from running.popleft().result()
    except BrokenProcessPool as error:
        raise S2DEdgeError(
            "a process that shares this work ended by itself: it was killed, perhaps for lack of memory, or "
            "it imported a script that calls this outside of 'if __name__ == \"__main__\":'; call it inside"
        ) from error
    except BaseException:  # such as Ctrl-C: what they are at is not waited for
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _each(work: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    return [work(job) for job in jobs]


def _enter(start: Callable[[], None] | None) -> None:
    """Set up a worker: one OpenCV thread, as each worker has a core; Ctrl-C is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    if start is not None:
        start()


def _leave_with_parent() -> None:
    """End this worker when its parent is killed; otherwise it would wait for jobs forever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
