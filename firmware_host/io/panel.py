"""The progress of a live run: a panel on a terminal, plain lines elsewhere."""

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
from s2d_edge.firmware_host.io.source import Source, SourceState
from s2d_edge.firmware_host.io.view import Snapshot

BAR_CELLS = 28
LINE_EVERY_S = 5.0


class Display:
    """Shows snapshots of a running pipeline; nothing under ``--quiet``."""

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

    def update(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        if self._console.quiet:
            return
        if self._live is not None:
            self._live.update(panel(snapshot, engine=self._engine, source=self._source, labels=self._labels))
            return
        state = self._source.state
        if state is not self._last_state and SourceState.RECONNECTING in (state, self._last_state):
            self._console.say(f"{self._source.name}: {state.value}")
        self._last_state = state
        if time.monotonic() - self._last_line_s >= LINE_EVERY_S:
            self._last_line_s = time.monotonic()
            self._console.say(line(snapshot))


def panel(snapshot: Snapshot, *, engine: str, source: Source, labels: tuple[str, ...]) -> Panel:
    """The terminal panel: a bar for each class, and below the state of source, faces and model."""
    result, counts = snapshot.result, snapshot.counts
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
    facts.add_row("face", snapshot.overlay.status)
    if others := others_text(snapshot):
        facts.add_row("others", others)
    facts.add_row("rate", f"{counts.source_fps:.1f} frames/s, {counts.results_per_s:.1f} results/s")
    facts.add_row("latency", latency_text(snapshot))
    facts.add_row(
        "dropped", Text(f"{counts.dropped_frames} frames, {counts.dropped_clips} clips", style=lost)
    )
    facts.add_row("engine", Text(engine))
    return Panel(Group(bars, Text(""), facts), title="s2d-edge run", subtitle="Ctrl-C ends", expand=False)


def line(snapshot: Snapshot) -> str:
    """A snapshot in one line."""
    result, counts = snapshot.result, snapshot.counts
    newest = (
        f"{result.t_s:.1f} s: {result.label} {result.probabilities[result.label]:.0%}"
        if result is not None
        else snapshot.overlay.status
    )
    return (
        f"{newest} | {counts.source_fps:.1f} frames/s, {counts.results_per_s:.1f} results/s, latency "
        f"{latency_text(snapshot)}, dropped {counts.dropped_frames} frames, {counts.dropped_clips} clips"
    )


def others_text(snapshot: Snapshot) -> str:
    """Predictions for the faces other than the main one; empty if there are none."""
    marks = [mark for mark in snapshot.overlay.faces if not mark.main]
    return ", ".join(
        "collecting" if mark.label is None else f"{mark.label} {mark.share:.0%}" for mark in marks
    )


def latency_text(snapshot: Snapshot) -> str:
    """Median and 95th percentile of the latency, and the model's part."""
    counts = snapshot.counts
    if counts.latency_p50_ms is None:
        return "–"
    return (
        f"p50 {counts.latency_p50_ms:.0f} ms, p95 {counts.latency_p95_ms:.0f} ms "
        f"(model {counts.infer_p50_ms:.0f} ms)"
    )
