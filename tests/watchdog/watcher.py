"""The process that watches a pytest process for hangs. It needs the standard library alone.

    python watcher.py PID IDLE_S CPU_S GRACE_S

Reads ``start`` and ``end`` lines on stdin, one pair per test, and measures the CPU time of PID and of all
its descendants. A test hangs if they use no CPU time for IDLE_S seconds, or more than CPU_S seconds of CPU
time in all. How long the test takes does not matter: on a busy machine a slow test still uses CPU time.

A test that hangs is ended in three steps, GRACE_S seconds apart: SIGUSR1 to PID, which fails the test there;
then its descendants are killed; then SIGUSR2 has PID print every stack, and PID is killed. Before the first
step, the reason is printed on stdout as one line.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE_SHARE = 0.01  # of one core; loops that poll every few milliseconds use less
_SAMPLES = 20  # per IDLE_S: a pause of the whole machine is one sample, and no hang


@dataclass(frozen=True, slots=True)
class Sample:
    """A process tree at one moment.

    Attributes:
        cpu_s: CPU time of the tree, children that have ended included.
        wants_cpu: some thread is running, waits for a core, or for the disk.
    """

    cpu_s: float
    wants_cpu: bool


def tree_of(root: int) -> list[int]:
    """``root`` and its descendants, without this process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(entry / "stat")):
            parents[int(entry.name)] = int(fields[1])
    tree = [root]
    for pid in tree:  # grows while it is read
        tree += [child for child, parent in parents.items() if parent == pid and child != os.getpid()]
    return tree


def sample(root: int) -> Sample:
    """Measure the tree of ``root``."""
    cpu, wants = 0.0, False
    for pid in tree_of(root):
        process = Path("/proc", str(pid))
        if fields := _stat(process / "stat"):
            cpu += sum(map(int, fields[11:15])) / _TICKS  # user and system, own and of ended children
        with suppress(OSError):
            wants |= any((_stat(task / "stat") or "S")[0] in "RD" for task in (process / "task").iterdir())
    return Sample(cpu, wants)


def _stat(file: Path) -> list[str]:
    """The fields after the name in parentheses, state first; empty when the process has ended."""
    with suppress(OSError):
        return file.read_text().rpartition(")")[2].split()
    return []


class Watch:
    """One test being watched."""

    def __init__(self, root: int, idle_s: float, cpu_s: float) -> None:
        self._root, self._idle_s, self._cpu_s = root, idle_s, cpu_s
        self._first = self._last = sample(root)
        self._idle_since = self._looked = time.monotonic()
        self._quiet = 0

    def reason(self) -> str:
        """Look once; returns why this is a hang, or nothing."""
        now, moment = sample(self._root), time.monotonic()
        used = now.cpu_s - self._last.cpu_s
        if now.wants_cpu or used > _IDLE_SHARE * (moment - self._looked):
            self._quiet, self._idle_since = 0, moment
        else:
            self._quiet += 1
        self._last, self._looked = now, moment
        if self._quiet >= _SAMPLES and moment - self._idle_since >= self._idle_s:
            return f"nothing has used CPU time for {moment - self._idle_since:.0f} s"
        if now.cpu_s - self._first.cpu_s > self._cpu_s:
            return f"{now.cpu_s - self._first.cpu_s:.0f} s of CPU time were used, over {self._cpu_s:g} s"
        return ""


def watch(root: int, idle_s: float, cpu_s: float, grace_s: float) -> None:
    """Watch ``root`` until it ends or closes stdin."""
    current: Watch | None = None
    step, due = 0, 0.0
    buffer = b""
    while os.getppid() == root:
        if select.select([0], [], [], min(idle_s, cpu_s, grace_s) / _SAMPLES)[0]:
            if not (read := os.read(0, 4096)):
                return
            *lines, buffer = (buffer + read).split(b"\n")
            for line in lines:
                current = Watch(root, idle_s, cpu_s) if line == b"start" else None
                step = 0
        elif current is None:
            continue
        elif step == 0:
            if reason := current.reason():
                print(reason, flush=True)
                step, due = _act(root, 1), time.monotonic() + grace_s
        elif time.monotonic() >= due:
            step, due = _act(root, step + 1), time.monotonic() + grace_s


def _act(root: int, step: int) -> int:
    """Take one step to end the test of ``root``; returns its number."""
    with suppress(ProcessLookupError):
        if step == 1:
            os.kill(root, signal.SIGUSR1)
        elif step == 2:
            for pid in tree_of(root)[1:]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            os.kill(root, signal.SIGUSR2)
            time.sleep(1)  # printing the stacks
            os.kill(root, signal.SIGKILL)
    return step


def main(arguments: Sequence[str]) -> None:
    """Watch as the command line says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which then closes stdin
    root, idle_s, cpu_s, grace_s = arguments
    watch(int(root), float(idle_s), float(cpu_s), float(grace_s))


if __name__ == "__main__":
    main(sys.argv[1:])
