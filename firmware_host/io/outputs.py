"""The outputs of a live run: JSON lines and the annotated video, each independent of the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from s2d_edge.core.console import Console
from s2d_edge.firmware_host.io.json_lines import STDOUT, JsonLines, open_json_lines
from s2d_edge.firmware_host.io.recorder import Recorder
from s2d_edge.firmware_host.io.source import Source


class Outputs:
    """Outputs of a run; a failure of one never raises, and ends neither the other nor the run.

    Attributes:
        lines: takes the results; None where none are wanted.
        recorder: takes the frames; None where no video is wanted.
    """

    def __init__(self, lines: JsonLines | None, recorder: Recorder | None, json: str | None) -> None:
        self.lines = lines
        self.recorder = recorder
        self._json = json

    @property
    def lost_results(self) -> int:
        """Results that could not be written so far."""
        return self.lines.lost if self.lines is not None else 0

    @property
    def lost_frames(self) -> int:
        """Frames that could not be written to the annotated video so far."""
        return self.recorder.lost if self.recorder is not None else 0

    @property
    def all_fail(self) -> bool:
        """True where something is to be written and each output has lost some of it."""
        wanted = [each for each in (self.lines, self.recorder) if each is not None]
        return bool(wanted) and all(each.lost for each in wanted)

    def report(self, console: Console, results: int) -> None:
        """Say what was written, and what could not be.

        Args:
            results: of the whole run.
        """
        if self.recorder is not None and self.recorder.parts:
            console.say(f"annotated video: {', '.join(map(str, self.recorder.parts))}")
        if self.lost_frames:
            console.warn(f"{self.lost_frames} frames could not be written to the annotated video")
        if self._json not in (None, STDOUT) and self.lost_results < results:
            console.say(f"results: {self._json}")
        if self.lost_results:
            console.warn(f"{self.lost_results} of {results} results could not be written")


@contextmanager
def open_outputs(console: Console, source: Source, json: str | None, save: Path | None) -> Iterator[Outputs]:
    """Open what a run writes, and complete it at the end of the block.

    Args:
        console: warns of what cannot be written.
        source: a live one's outputs grow as results come; others are whole or absent.
        json: a file, or ``-`` for stdout.
        save: an ``.mp4``.

    Raises:
        MediaError: one cannot be written at all.
    """
    with ExitStack() as stack:
        lines = recorder = None
        if json:
            lines = stack.enter_context(open_json_lines(json, console.warn, live=source.live))
        if save:
            recorder = stack.enter_context(Recorder(save, source.fps, console.warn, live=source.live))
        yield Outputs(lines, recorder, json)
