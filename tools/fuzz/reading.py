"""Read damaged files in processes of their own, and tell what came of each."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from s2d_edge.core.errors import S2DEdgeError
from tools.fuzz.media import read_to_the_end
from tools.fuzz.mutate import mutated

_BATCH = 50
_MOST_BYTES = 8 << 30  # of memory of a process: a damaged header must not ask for more
_MOST_S = 120  # of processor time of one batch


def damaged_file(files: dict[str, list[bytes]], number: int, seed: int) -> tuple[str, bytes]:
    """Suffix and content of the damaged file of this number."""
    suffixes = sorted(files)
    suffix = suffixes[number % len(suffixes)]
    return suffix, mutated(files[suffix], number // len(suffixes), seed)


def outcome_of(path: Path) -> str:
    """Read one file: ``read``, ``refused``, or the fault in words."""
    try:
        read_to_the_end(path)
    except S2DEdgeError as error:
        return "refused" if path.name in str(error) and len(str(error).splitlines()) == 1 else f"says {error}"
    except BaseException as error:
        return f"raises {type(error).__name__}: {error}"
    return "read"


def _read_batch(files: dict[str, list[bytes]], numbers: range, seed: int, folder: Path) -> list[str]:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    spent = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(spent.ru_utime + spent.ru_stime) + _MOST_S
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    outcomes = []
    for number in numbers:
        suffix, content = damaged_file(files, number, seed)
        path = folder / f"{numbers.start}{suffix}"
        path.write_bytes(content)
        outcomes.append(outcome_of(path))
    return outcomes


def read_all(
    files: dict[str, list[bytes]], count: int, seed: int, folder: Path, workers: int
) -> Iterator[tuple[int, str]]:
    """Number and outcome of every damaged file."""
    waiting = [range(first, min(first + _BATCH, count)) for first in range(0, count, _BATCH)]
    while waiting:
        crashed = []
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            running = [
                (numbers, pool.submit(_read_batch, files, numbers, seed, folder)) for numbers in waiting
            ]
            for numbers, result in running:
                try:
                    yield from zip(numbers, result.result(), strict=True)
                except BrokenProcessPool:
                    crashed.append(numbers)
        waiting = []
        for numbers in crashed:  # each alone, halved until the file is found
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                try:
                    found = pool.submit(_read_batch, files, numbers, seed, folder).result()
                    yield from zip(numbers, found, strict=True)
                except BrokenProcessPool:
                    if len(numbers) == 1:
                        yield numbers[0], "ends the process"
                    else:
                        half = (numbers.start + numbers.stop) // 2
                        waiting += [range(numbers.start, half), range(half, numbers.stop)]
