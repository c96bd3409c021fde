"""``benchmark --pipeline``: what cameras cost, as a table, for JSON, and as a picture."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.table import Table

from s2d_edge.core.console import Console
from s2d_edge.core.files import whole_file
from s2d_edge.core.plots import plain_text
from s2d_edge.data.avatars.clips import write_avatar_video
from s2d_edge.firmware_host.bench.pipeline import LiveCost, LiveOptions, measure_live
from s2d_edge.firmware_host.bundles import BundleName, display_name, find_bundle
from s2d_edge.firmware_host.pipeline.stats import Span
from s2d_edge.media.video import probe_video
from s2d_edge.verbs.plot_file import check_plot_file

_MIB = 1 << 20
_PERCENTILES = (50, 95, 99)


def benchmark_pipeline(
    given: BundleName | None,
    source: Path | None,
    options: LiveOptions,
    *,
    device: str,
    plot: Path | None,
    console: Console,
) -> dict[str, Any]:
    """Measure the live pipeline, print what it costs, and return it for JSON.

    Args:
        given: the bundle; None takes the newest that ``device`` can run, else the starter.
        source: a video; None draws one of an avatar.
        options: number and pace of the cameras, time of the measurement.
        device: as ``--device`` gives it.
        plot: the picture to write.
        console: shows the tables.

    Raises:
        S2DEdgeError: the bundle, the device or the video cannot be used.
    """
    if plot is not None:
        check_plot_file(plot, [] if source is None else [source])
    if source is not None:
        probe_video(source)  # raises before anything is timed
    bundle = find_bundle(given, device, console).path
    with tempfile.TemporaryDirectory(prefix="s2d-edge-") as scratch:
        if source is None:
            source = Path(scratch) / "avatar.mp4"
            write_avatar_video(source, seconds=8.0, fps=12.5, size=512)  # played at any rate
        cost = measure_live(bundle, device, source, options, console)
    name = display_name(bundle)
    console.show(_table(name, cost, options))
    if plot is not None:
        _draw(plot, name, cost)
        console.say(f"wrote {plot}")
    return _as_json(name, cost, options)


def _percentiles(cost: LiveCost, span: Span) -> list[float] | None:
    times = cost.times_ms[span]
    return [float(np.percentile(times, percent)) for percent in _PERCENTILES] if times.size else None


def _shares(cost: LiveCost) -> dict[str, float]:
    """Processor seconds of a camera in a minute, by stage."""
    return {stage: 60 * spent / cost.seconds for stage, spent in cost.cpu_s.items()}


def _table(name: str, cost: LiveCost, options: LiveOptions) -> Table:
    cameras = "one camera" if options.cameras == 1 else f"{options.cameras} cameras"
    width, height = cost.size
    first = cost.first_result_s
    lines = [
        f"{sum(_shares(cost).values()):.1f} processor seconds per minute: "
        + ", ".join(f"{stage} {spent:.1f}" for stage, spent in _shares(cost).items()),
        f"{cost.frames} frames, {cost.searched} searched, {cost.results} results, {cost.dropped} dropped; "
        f"peak memory {cost.peak_memory_bytes / _MIB:.0f} MiB",
        f"from the command to the first result: {first['cold']:.1f} s with an empty cache, "
        f"{first['warm']:.1f} s with a filled one",
        cost.engine,
    ]
    table = Table(
        title=f"{name}, {cameras} of {width}×{height} at {options.fps:g} frames per second",
        title_justify="left",
        caption="\n".join(lines),
        caption_justify="left",
    )
    table.add_column("milliseconds")
    for percent in _PERCENTILES:
        table.add_column(f"p{percent}", justify="right", no_wrap=True)
    for span in get_args(Span):
        found = _percentiles(cost, span)
        table.add_row(
            "from frame to result" if span == "latency" else span,
            *(["–"] * len(_PERCENTILES) if found is None else [f"{each:.1f}" for each in found]),
        )
    return table


def _as_json(name: str, cost: LiveCost, options: LiveOptions) -> dict[str, Any]:
    found = {span: _percentiles(cost, span) for span in get_args(Span)}
    return {
        "model": name,
        "engine": cost.engine,
        "cameras": options.cameras,
        "fps": options.fps,
        "size": list(cost.size),
        "search": options.search,
        "threads": options.threads,
        "seconds": cost.seconds,
        "cpu_s_per_minute": cost.cpu_s_per_minute,
        "cpu_s_per_minute_of": _shares(cost),
        "ms": {
            span: None
            if values is None
            else {f"p{percent}": value for percent, value in zip(_PERCENTILES, values, strict=True)}
            for span, values in found.items()
        },
        "frames": cost.frames,
        "searched": cost.searched,
        "results": cost.results,
        "results_of": list(cost.results_of),
        "dropped": cost.dropped,
        "peak_memory_bytes": cost.peak_memory_bytes,
        "first_result_s": dict(cost.first_result_s),
    }


def _draw(path: Path, name: str, cost: LiveCost) -> None:
    """Draw where a sample's time goes, and where the processor's."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bars = {
        "a sample's way, p50, milliseconds": {
            span: found[0]
            for span in get_args(Span)
            if span not in ("latency", "outputs") and (found := _percentiles(cost, span)) is not None
        },
        "processor seconds per minute": _shares(cost),
    }
    with plain_text():
        figure = Figure(figsize=(9, 4), layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(name)
        for axis, (title, parts) in zip(figure.subplots(2, 1), bars.items(), strict=True):
            left = 0.0
            for part, length in parts.items():
                axis.barh([0], [length], left=left, label=f"{part} {length:.1f}")
                left += length
            axis.set_yticks([])
            axis.set_title(title, loc="left", fontsize="medium")
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=len(parts), frameon=False)
        with whole_file(path) as scratch:
            figure.savefig(scratch, dpi=110)
