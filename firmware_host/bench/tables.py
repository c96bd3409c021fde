"""Measured latency, memory and size as a table and as JSON, beside the FP32 graph's and a reference's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from s2d_edge.firmware_host.bench.benchmark import BenchmarkOptions, Timing
from s2d_edge.firmware_host.engines.exact_int8 import WORTH, int8_hindrance

_MIB = 1024 * 1024


def as_table(timings: Sequence[Timing], reference: Timing | None) -> Table:
    """Return a row for each model, with its speed-up over its FP32 graph and over the reference.

    Engines stand below, and a sentence for each INT8 graph that is not faster than its FP32 graph.
    """
    table = Table(
        title="one prediction at a time, models in turn",
        title_justify="left",
        caption="\n".join([*(timing.engine for timing in timings), *_slow_int8(timings)]),
        caption_justify="left",
    )
    table.add_column("model", overflow="fold", min_width=20)
    streams = any(timing.unit == "frame" for timing in timings)
    for column in ("p50 ms", "p95 ms", "p99 ms", "per s" if streams else "clips/s", "MB", "peak MiB"):
        table.add_column(column, justify="right", no_wrap=True)
    if streams:
        table.add_column("ms per s\nof video", justify="right", no_wrap=True)
    pairs = any(timing.times_as_fast_as_fp32 is not None for timing in timings)
    if pairs:
        table.add_column("× its FP32", justify="right", no_wrap=True)
    if reference is not None:
        table.add_column("speed-up", justify="right", no_wrap=True)
    for timing in timings:
        row = [
            f"{timing.name}\n{_input_text(timing)}" if streams else timing.name,
            *(f"{timing.percentile_ms(percent):.1f}" for percent in (50, 95, 99)),
            f"{timing.predictions_per_s:.2f}",
            f"{timing.size_bytes / 1e6:.1f}",
            f"{timing.peak_memory_bytes / _MIB:.0f}",
        ]
        if streams:
            row.append(f"{timing.ms_per_video_second:.0f}")
        if pairs:
            ratio = timing.times_as_fast_as_fp32
            row.append("" if ratio is None else f"{ratio:.2f} ×")
        if reference is not None:
            row.append(f"{speedup(timing, reference):.2f} ×")
        table.add_row(*row)
    return table


def _slow_int8(timings: Sequence[Timing]) -> Iterator[str]:
    for timing in timings:
        if timing.times_as_fast_as_fp32 is not None and timing.times_as_fast_as_fp32 < WORTH:
            why = f", since {hindrance}" if (hindrance := int8_hindrance()) else ""
            yield f"{timing.name}: INT8 is not faster than its FP32 graph on this machine{why}"


def _input_text(timing: Timing) -> str:
    """Describe the input of one prediction, for people."""
    if timing.unit == "clip":
        return f"a clip of {timing.frames}"
    return f"a frame, {timing.state_bytes / _MIB:.1f} MiB kept"


def as_json(timings: Sequence[Timing], reference: Timing | None, options: BenchmarkOptions) -> dict[str, Any]:
    """Return the figures of :func:`as_table` for JSON."""
    return {
        "rounds": options.rounds,
        "warmup": options.warmup,
        "reference": None if reference is None else reference.name,
        "models": [
            {
                "name": timing.name,
                "engine": timing.engine,
                "frames": timing.frames,
                "p50_ms": timing.percentile_ms(50),
                "p95_ms": timing.percentile_ms(95),
                "p99_ms": timing.percentile_ms(99),
                "answers": timing.unit,
                "answers_per_s": timing.predictions_per_s,
                "ms_per_video_second": timing.ms_per_video_second,
                "clips_per_s": timing.predictions_per_s if timing.unit == "clip" else None,
                "state_bytes": timing.state_bytes,
                "size_bytes": timing.size_bytes,
                "peak_memory_bytes": timing.peak_memory_bytes,
                "times_as_fast_as_fp32": timing.times_as_fast_as_fp32,
                "speedup": None if reference is None else speedup(timing, reference),
            }
            for timing in timings
        ],
    }


def speedup(timing: Timing, reference: Timing) -> float:
    """Return the reference's median latency divided by the model's."""
    return reference.percentile_ms(50) / timing.percentile_ms(50)
