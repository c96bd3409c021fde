"""Messages for people on stderr, and JSON for machines on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from s2d_edge.core.addresses import redact_text
from s2d_edge.core.files import whole_file, write_text

Advance = Callable[[int], None]
_SECONDS_BETWEEN_LINES = 120.0


class Console:
    """Writes messages for people to stderr, so that ``--json -`` has stdout to itself."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        # A path or label such as "[x9]" or ":one:" is text, in tables and bars too.
        self.rich = RichConsole(file=cast(TextIO, _Stderr()), highlight=False, markup=False, emoji=False)

    def say(self, text: str) -> None:
        """Print what is happening; silent under ``--quiet``."""
        if not self.quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """Print a warning, even under ``--quiet``."""
        self._print(f"warning: {text}", style="yellow")

    def fault(self, text: str) -> None:
        """Print one of several errors, even under ``--quiet``."""
        self._print(f"error: {text}", style="red")

    def _print(self, text: str, style: str | None = None) -> None:
        self.rich.print(redact_text(text), style=style, soft_wrap=True)

    def show(self, thing: RenderableType) -> None:
        """Print a table or panel; silent under ``--quiet``."""
        if not self.quiet:
            self.rich.print(thing)

    @contextmanager
    def progress(self, description: str, total: int | None, done: int = 0) -> Iterator[Advance]:
        """Show a progress bar, or lines where none can be drawn, as in a file; silent under ``--quiet``.

        The block calls the yielded function with the number of steps it did.

        Args:
            description: the work, in a few words.
            total: number of steps; None where it is unknown.
            done: steps that were done before, which took this process no time.
        """
        if not self.rich.is_terminal:
            yield _Lines(self.say, description, total, done)
            return
        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.rich,
            disable=self.quiet,
        )
        with bar:
            task = bar.add_task(description, total=total, completed=done)
            yield lambda steps: bar.advance(task, steps)


class _Stderr:
    """The process's stderr as it is at each moment; what nobody can see any more stops no work.

    A terminal that was closed, or a pipe without a reader, refuses what is written to it.
    """

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


class _Lines:
    """Reports progress every few minutes, with the time left estimated from the latest pace."""

    def __init__(self, say: Callable[[str], None], description: str, total: int | None, done: int) -> None:
        self._say = say
        self._description = description
        self._total = total
        self._done = self._done_then = done
        self._reported = time.monotonic()

    def __call__(self, steps: int) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._reported < _SECONDS_BETWEEN_LINES:
            return
        text = f"{self._description}: {self._done:,}"
        if self._total is not None and self._done > self._done_then:
            left = (now - self._reported) * (self._total - self._done) / (self._done - self._done_then)
            text += f" of {self._total:,}, some {max(left, 0) / 60:.0f} min left"
        self._reported, self._done_then = now, self._done
        self._say(text)


def write_json(destination: str, payload: Any) -> None:
    """Write ``payload`` as JSON to a file, or to stdout when ``destination`` is ``-``."""
    text = json.dumps(payload, indent=2, allow_nan=False) + "\n"
    if destination == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_text(Path(destination), text)


@contextmanager
def json_lines(destination: str) -> Iterator[Callable[[Any], None]]:
    """Yield a function that writes a payload as one line of JSON.

    Lines go to stdout at once when ``destination`` is ``-``; a file has its name only when it is whole.
    """
    with ExitStack() as stack:
        if destination == "-":
            file: TextIO = sys.stdout
        else:
            scratch = stack.enter_context(whole_file(Path(destination)))
            file = stack.enter_context(scratch.open("w", encoding="utf-8"))

        def write(payload: Any) -> None:
            file.write(json.dumps(payload, allow_nan=False) + "\n")
            if destination == "-":
                file.flush()

        yield write
