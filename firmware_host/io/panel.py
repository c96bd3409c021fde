"""What people see while it runs: a panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from s2d_edge.core.console import Console
from s2d_edge.firmware_host.io.sources import Source, SourceState
from s2d_edge.firmware_host.pipeline.messages import Glimpse

BAR_CELLS = 28
LINE_EVERY_S = 5.0


class Display:
    """Shows glimpses of a running pipeline; nothing under ``--quiet``."""

    def __init__(self, console: Console, *, engine: str, source: Source, labels: tuple[str, ...]) -> None:
        self._console = console
        self._engine = engine
        self._source = source
        self._labels = labels
        self._live: Live | None = None
        self._last_line_s = time.monotonic()
        self._last_state = source.state

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the panel on the screen for the length of the block."""
        if self._console.quiet or not self._console.rich.is_terminal:
            yield
            return
        with Live(console=self._console.rich, refresh_per_second=8, transient=True) as live:
            self._live = live
            yield
        self._live = None

    def update(self, glimpse: Glimpse) -> None:
        """Show the moment."""
        if self._console.quiet:
            return
        if self._live is not None:
            self._live.update(panel(glimpse, engine=self._engine, source=self._source, labels=self._labels))
            return
        state = self._source.state
        if state is not self._last_state and SourceState.RECONNECTING in (state, self._last_state):
            self._console.say(f"{self._source.name}: {state.value}")
        self._last_state = state
        if time.monotonic() - self._last_line_s >= LINE_EVERY_S:
            self._last_line_s = time.monotonic()
            self._console.say(line(glimpse))


def panel(glimpse: Glimpse, *, engine: str, source: Source, labels: tuple[str, ...]) -> Panel:
    """The terminal panel: a bar per expression above what the pipeline does."""
    result, counts = glimpse.result, glimpse.counts
    bars = Table.grid(padding=(0, 1))
    for label in labels:
        share = result.probabilities[label] if result is not None else 0.0
        style = "bold cyan" if result is not None and label == result.label else "dim"
        cells = round(share * BAR_CELLS)
        bar = Text("█" * cells, style=style) + Text("░" * (BAR_CELLS - cells), style="bright_black")
        bars.add_row(Text(label, style=style), bar, Text(f"{share:4.0%}", style=style))
    facts = Table.grid(padding=(0, 2))
    lost = "bold yellow" if counts.dropped_frames or counts.dropped_clips else ""
    state = "bold yellow" if source.state is SourceState.RECONNECTING else ""
    facts.add_row("source", Text(f"{source.name}: {source.state.value}", style=state))
    facts.add_row("face", glimpse.overlay.status)
    if others := others_text(glimpse):
        facts.add_row("others", others)
    facts.add_row("rate", f"{counts.source_fps:.1f} frames/s, {counts.results_per_s:.1f} results/s")
    facts.add_row("latency", latency_text(glimpse))
    facts.add_row(
        "dropped", Text(f"{counts.dropped_frames} frames, {counts.dropped_clips} clips", style=lost)
    )
    facts.add_row("engine", Text(engine))
    return Panel(Group(bars, Text(""), facts), title="s2d-edge run", subtitle="Ctrl-C ends", expand=False)


def line(glimpse: Glimpse) -> str:
    """The same in one line."""
    result, counts = glimpse.result, glimpse.counts
    answer = (
        f"{result.t_s:.1f} s: {result.label} {result.probabilities[result.label]:.0%}"
        if result is not None
        else glimpse.overlay.status
    )
    return (
        f"{answer} | {counts.source_fps:.1f} frames/s, {counts.results_per_s:.1f} results/s, latency "
        f"{latency_text(glimpse)}, dropped {counts.dropped_frames} frames, {counts.dropped_clips} clips"
    )


def others_text(glimpse: Glimpse) -> str:
    """What the faces beside the main one show; empty when there are none."""
    marks = [mark for mark in glimpse.overlay.faces if not mark.main]
    return ", ".join(
        "collecting" if mark.label is None else f"{mark.label} {mark.share:.0%}" for mark in marks
    )


def latency_text(glimpse: Glimpse) -> str:
    """Median and 95th percentile from frame to result, and the model's share."""
    counts = glimpse.counts
    if counts.latency_p50_ms is None:
        return "–"
    return (
        f"p50 {counts.latency_p50_ms:.0f} ms, p95 {counts.latency_p95_ms:.0f} ms "
        f"(model {counts.infer_p50_ms:.0f} ms)"
    )
