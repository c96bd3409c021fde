"""The signals that ask a command to end: Ctrl-C, a service manager's SIGTERM, a closed terminal's SIGHUP."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALLED = 128  # an exit code is this and the signal's number on top
HEARD_WITHIN_S = 1.5

_handled = 0  # signals that reached their handler
_newest: signal.Signals | None = None  # of these


def heard_signals() -> list[signal.Signals]:
    """The signals to end on; one that the parent had ignored, as nohup has SIGHUP, stays ignored."""
    known = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    return [number for number in known if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def on_signals(handle: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call ``handle`` with each signal to end that comes during the block; in the main thread only.

    In another thread, which signals do not reach, the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        global _handled, _newest
        _handled += 1
        _newest = signal.Signals(number)
        handle(_newest)

    before = {number: signal.signal(number, note) for number in heard_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code() -> int:
    """The exit code of a command that was interrupted: 128 and the newest signal's number."""
    return SIGNALLED + (_newest or signal.SIGINT)


@contextmanager
def answered_in_time() -> Iterator[None]:
    """Answer signals that no handler gets, since the main thread is in a long call of a library.

    The first is answered with a sentence; a second one ends the process, which then clears nothing up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()
    thread = threading.Thread(target=_answer, args=(reader, over, _handled), name="s2d-signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        over.set()
        os.close(writer)
        thread.join()
        os.close(reader)


def _answer(reader: int, over: threading.Event, handled_before: int) -> None:
    came = 0
    numbers = set(heard_signals())
    said = False
    while byte := os.read(reader, 1):
        if byte[0] not in numbers:
            continue
        came += 1
        if said and _handled - handled_before < came - 1:
            os._exit(SIGNALLED + byte[0])
        if over.wait(HEARD_WITHIN_S):
            return
        if not said and _handled - handled_before < came:
            said = True
            tell(
                f"{signal.Signals(byte[0]).name}: the step under way cannot be left; the command ends after "
                "it (again: at once, and what is half written stays)"
            )


def tell(sentence: str) -> None:
    """Write a sentence to stderr; may be called in a signal's handler, where the console may be locked."""
    with suppress(OSError):
        os.write(2, f"{sentence}\n".encode())
