"""Writing results as JSON lines: a file grows with a live source, and is whole or absent for a recording."""

from __future__ import annotations

import errno
import io
import os
import queue
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from s2d_edge.core.errors import MediaError
from s2d_edge.core.files import is_special, whole_file
from s2d_edge.firmware_host.io.attempts import Attempts
from s2d_edge.firmware_host.io.results import LiveResult

STDOUT = "-"
LINES_QUEUED = 1024  # while a disk or a reader is slow
CLOSE_WAIT_S = 5.0  # for a reader that takes nothing any more


class JsonLines(Protocol):
    """Takes results; a failure to write them never raises.

    Attributes:
        lost: results that could not be written so far.
    """

    @property
    def lost(self) -> int: ...

    def write(self, result: LiveResult) -> None:
        """Write one line."""
        ...

    def __enter__(self) -> JsonLines: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_json_lines(destination: str, warn: Callable[[str], None], *, live: bool) -> JsonLines:
    """Open a destination of results.

    Args:
        destination: a file, a pipe, or ``-`` for stdout.
        warn: shows a sentence when it cannot be written.
        live: append each line at once; otherwise a file has its name only when it is complete.

    Raises:
        MediaError: it cannot be written.
    """
    try:
        return GrowingLines(destination, warn) if live else WholeLines(destination, warn)
    except OSError as error:
        raise MediaError(f"cannot write {destination}: {error.strerror}; choose another --json") from None


class WholeLines:
    """Results of a recording: written beside their name and renamed at the end, or at once into a pipe."""

    def __init__(self, destination: str, warn: Callable[[str], None]) -> None:
        """Open it; see :func:`open_json_lines`."""
        self._attempts = Attempts(_name(destination), "results", warn)
        self._cleanup = ExitStack()
        path = Path(destination)
        if destination == STDOUT:
            self._file: IO[bytes] = _stdout()
        elif is_special(path):
            self._file = self._cleanup.enter_context(path.open("ab", buffering=0))
        else:
            scratch = self._cleanup.enter_context(whole_file(path))
            self._file = self._cleanup.enter_context(scratch.open("wb", buffering=0))

    @property
    def lost(self) -> int:
        """Results that could not be written; after the first, no more are tried."""
        return self._attempts.lost

    def write(self, result: LiveResult) -> None:
        """Write one line."""
        if self.lost:
            self._attempts.skipped()
            return
        try:
            _write_all(self._file, _line(result))
        except OSError as error:
            self._attempts.failed(error, final=True)

    def __enter__(self) -> WholeLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self.lost:
            error = MediaError("not all results could be written")  # so nothing takes the name
        try:
            self._cleanup.__exit__(type(error) if error is not None else None, error, None)
        except OSError as problem:
            self._attempts.failed(problem, final=True)


class GrowingLines:
    """Results of a live source, appended by a thread of its own; a slow disk or reader holds up nobody."""

    def __init__(self, destination: str, warn: Callable[[str], None]) -> None:
        """Open it; see :func:`open_json_lines`."""
        self._attempts = Attempts(_name(destination), "results", warn)
        self._path = None if destination == STDOUT else Path(destination)
        self._file: IO[bytes] | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue(LINES_QUEUED)
        self._overflowed = 0
        try:
            self._open()
        except OSError as error:
            if error.errno != errno.ENXIO:  # a pipe may get its reader later
                raise
        self._thread = threading.Thread(target=self._run, name="s2d-json", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Results that could not be written so far."""
        return self._attempts.lost + self._overflowed

    def write(self, result: LiveResult) -> None:
        """Hand on one line."""
        try:
            self._lines.put_nowait(_line(result))
        except queue.Full:
            self._overflowed += 1

    def __enter__(self) -> GrowingLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(queue.Full):
            self._lines.put(None, timeout=CLOSE_WAIT_S)
        self._thread.join(CLOSE_WAIT_S)
        if self._thread.is_alive():  # its reader takes nothing: the file stays open for it
            self._overflowed += self._lines.qsize()
            return
        if self._file is not None:
            with suppress(OSError):
                os.fsync(self._file.fileno())
            self._file.close()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._attempts.due:
                self._attempts.skipped()
                continue
            try:
                self._append(line)
            except OSError as error:
                final = self._path is None and error.errno == errno.EPIPE
                self._attempts.failed(error, final=final)
            else:
                self._attempts.worked()

    def _append(self, line: bytes) -> None:
        if self._file is None or self._was_moved(self._file):
            self._open()
        assert self._file is not None
        state = os.fstat(self._file.fileno()) if self._path is not None else None
        try:
            _write_all(self._file, line)
        except OSError:
            if state is not None and stat.S_ISREG(state.st_mode):
                with suppress(OSError):  # half a line would spoil the file for its readers
                    os.ftruncate(self._file.fileno(), state.st_size)
            elif self._path is not None:
                self._file.close()
                self._file = None
            raise

    def _was_moved(self, file: IO[bytes]) -> bool:
        """True where the name no longer leads to the open file, as after a log's rotation."""
        if self._path is None:
            return False
        try:
            return not os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except OSError:
            return True

    def _open(self) -> None:
        """Open the destination to append to it, after a line's end."""
        if self._path is None:
            self._file = _stdout()
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._file is not None:
            self._file.close()
            self._file = None
        # Without a reader, opening a pipe would wait for one.
        flags = os.O_RDWR if _is_regular(self._path) else os.O_WRONLY | os.O_NONBLOCK
        handle = os.open(self._path, flags | os.O_APPEND | os.O_CREAT, 0o666)
        os.set_blocking(handle, True)
        self._file = os.fdopen(handle, "r+b" if flags == os.O_RDWR else "wb", buffering=0)
        if flags == os.O_RDWR:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                _write_all(self._file, b"\n")  # the last line of a run that was killed


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True  # it will be


class _TextOut(io.RawIOBase):
    """Writes bytes to a stdout that is no file, as notebooks have it."""

    def writable(self) -> bool:
        """Return True; a stream that cannot be written would refuse every line."""
        return True

    def write(self, data: Any, /) -> int:
        """Write UTF-8."""
        content = bytes(data)
        sys.stdout.write(content.decode())
        sys.stdout.flush()
        return len(content)


def _stdout() -> Any:
    try:
        return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)
    except io.UnsupportedOperation:
        return _TextOut()


def _write_all(file: IO[bytes], data: bytes) -> None:
    """Write to an unbuffered file, which may take a part only."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _line(result: LiveResult) -> bytes:
    return f"{result.to_json()}\n".encode(errors="backslashreplace")  # of a lone surrogate: its JSON escape


def _name(destination: str) -> str:
    return "stdout" if destination == STDOUT else destination
