"""Talking to people (stderr) and to machines (stdout), the same from every verb."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from s2d_edge.files import write_text

Advance = Callable[[int], None]


class Console:
    """Everything for people goes to stderr, so that ``--json -`` has stdout to itself."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.rich = RichConsole(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Tell what is happening; silent under ``--quiet``."""
        if not self.quiet:
            self.rich.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Tell what the user must know, ``--quiet`` or not."""
        self.rich.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)

    def fault(self, text: str) -> None:
        """Tell one of the things that are wrong, ``--quiet`` or not."""
        self.rich.print(f"error: {text}", style="red", markup=False, soft_wrap=True)

    def show(self, thing: RenderableType) -> None:
        """Print a table or panel; silent under ``--quiet``."""
        if not self.quiet:
            self.rich.print(thing)

    @contextmanager
    def progress(self, description: str, total: int | None) -> Iterator[Advance]:
        """A progress bar; the block calls the yielded function with the number of steps done."""
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.rich,
            disable=self.quiet,
            transient=not self.rich.is_terminal,
        )
        with bar:
            task = bar.add_task(description, total=total)
            yield lambda steps: bar.advance(task, steps)


def write_json(destination: str, payload: Any) -> None:
    """Write ``payload`` as JSON to a file, or to stdout when ``destination`` is ``-``."""
    text = json.dumps(payload, indent=2, allow_nan=False) + "\n"
    if destination == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_text(Path(destination), text)
