"""Work shared out over processes, its results in order."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import cv2

Job = TypeVar("Job")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    start: Callable[[], None] | None = None,
    chunk: int = 1,
) -> Iterator[Result]:
    """Yield ``work(job)`` of every job, in the order of the jobs.

    Args:
        work: a function of a module, so that other processes find it.
        workers: processes; up to 1, all is done in this one.
        start: called once in every process before its first job.
        chunk: jobs that travel to a process at once.
    """
    if workers <= 1 or len(jobs) <= 1:
        if start is not None:
            start()
        yield from map(work, jobs)
        return
    # Spawned, not forked: the caller may run threads (PyTorch, OpenVINO, MediaPipe) that a fork would break.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_enter, initargs=(start,)) as pool:
        try:
            yield from pool.map(work, jobs, chunksize=chunk)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _enter(start: Callable[[], None] | None) -> None:
    """Each worker has a core of its own: OpenCV's threads would only contend. Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    if start is not None:
        start()
