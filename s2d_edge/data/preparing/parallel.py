"""Run work in several processes and yield its results in order, whatever a job does to its process."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Generic, NoReturn, TypeVar

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
    died: Callable[[Job, str], Result] | None = None,
) -> Generator[Result, None, None]:
    """Yield ``work(job)`` of every job, in the order of the jobs, a few ahead of the consumer.

    Where a process ends by itself, what it and the others had not finished is done again, one job at a time:
    a job that ends its process once more is the one to blame, and the work goes on after it.

    Args:
        work: a function at module level, so that other processes can import it.
        workers: processes; with 1 or fewer, all work is done in this one.
        start: called once in every process before its first job.
        chunk: number of jobs sent to a process at once.
        died: gives the result of a job that ends its process, from the job and how the process ended;
            without it such a job is an error.

    Raises:
        S2DEdgeError: no process starts, or a job ends its process and there is no ``died``.
        Exception: what ``work`` raises, when its job's turn comes.
    """
    if workers <= 1:
        if start is not None:
            start()
        yield from map(work, jobs)
        return
    groups = (jobs[first : first + chunk] for first in range(0, len(jobs), chunk))
    running: deque[_Running[Job, Result]] = deque()
    more = True
    while more:
        with _pool(workers, start) as pool:
            more = yield from _until_a_process_ends(pool, work, groups, running, workers)
        with ExitStack() as stack:
            alone = _Alone(stack, work, start, died or _no_result)
            while running:
                group, future = running.popleft()
                yield from map(alone.run, group) if _was_lost(future) else future.result()


_Running = tuple[Sequence[Job], "Future[list[Result]]"]


def _until_a_process_ends(
    pool: ProcessPoolExecutor,
    work: Callable[[Job], Result],
    groups: Iterator[Sequence[Job]],
    running: deque[_Running[Job, Result]],
    workers: int,
) -> Generator[Result, None, bool]:
    """Yield results; return False when there are no more, True when a process ended by itself.

    Then ``running`` holds the groups whose results were not yielded.
    """
    while True:
        for group in islice(groups, workers * _QUEUED_PER_WORKER - len(running)):
            running.append((group, _submit(pool, partial(_each, work, group))))
        if not running:
            return False
        future = running[0][1]
        if _was_lost(future):
            return True
        running.popleft()
        yield from future.result()


class _Alone(Generic[Job, Result]):
    """A process that does one job at a time, so that it is known which job ends it."""

    def __init__(
        self,
        stack: ExitStack,
        work: Callable[[Job], Result],
        start: Callable[[], None] | None,
        died: Callable[[Job, str], Result],
    ) -> None:
        self._stack = stack
        self._work = work
        self._start = start
        self._died = died
        self._pool: ProcessPoolExecutor | None = None

    def run(self, job: Job) -> Result:
        """Do one job in a process that is started, or started again, if there is none."""
        pool = self._pool or self._begin()
        processes = list(pool._processes.values())
        done = _submit(pool, partial(self._work, job))
        if not _was_lost(done):
            return done.result()
        self._pool = None
        self._stack.close()  # joins the process, so that it is known how it ended
        return self._died(job, _end_of(processes[0].exitcode))

    def _begin(self) -> ProcessPoolExecutor:
        pool = self._stack.enter_context(_pool(1, self._start))
        if _was_lost(_submit(pool, os.getpid)):
            raise S2DEdgeError(
                "a process that should share this work ended before its first job: does a script call this "
                "outside of 'if __name__ == \"__main__\":'? Call it inside"
            )
        self._pool = pool
        return pool


def _no_result(job: object, how: str) -> NoReturn:
    raise S2DEdgeError(f"a process {how} at its work on {job}; leave that out")


def _end_of(exitcode: int | None) -> str:
    """Say how a process ended, in words that follow 'the process'."""
    if exitcode is None or exitcode >= 0:
        return f"ended by itself with exit code {exitcode}"
    known = -exitcode in set(signal.Signals)
    name = signal.Signals(-exitcode).name if known else f"signal {-exitcode}"
    return f"was ended by {name}" + (", perhaps for lack of memory," if name == "SIGKILL" else "")


def _was_lost(future: Future[Result]) -> bool:
    """True for a job whose process ended; waits for it."""
    return isinstance(future.exception(), BrokenProcessPool)


def _submit(pool: ProcessPoolExecutor, call: Callable[[], Result]) -> Future[Result]:
    """Give a pool a job; one that has lost a process loses the job too."""
    try:
        return pool.submit(call)
    except BrokenProcessPool as error:
        lost: Future[Result] = Future()
        lost.set_exception(error)
        return lost


@contextmanager
def _pool(workers: int, start: Callable[[], None] | None) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes; after an error or an interrupt, what they are at is not waited for."""
    # Spawned, not forked: the caller may run threads (PyTorch, OpenVINO, MediaPipe) that a fork would break.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _enter, (start,))
    try:
        yield pool
    except BaseException:
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
