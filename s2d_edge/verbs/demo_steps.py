"""The demo's steps on data that the project draws itself, and the page that sums them up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.panel import Panel

import s2d_edge
from s2d_edge.calibrate.report.records import DropReport
from s2d_edge.core.claims import choose_output, releases_claims
from s2d_edge.core.console import Console
from s2d_edge.core.files import write_text
from s2d_edge.data.avatars.clips import write_avatar_video
from s2d_edge.firmware_host.bench.benchmark import BenchmarkOptions
from s2d_edge.firmware_host.engines.exact_int8 import WORTH, int8_hindrance
from s2d_edge.firmware_host.live import LiveSummary, run_live
from s2d_edge.verbs.benchmark_models import benchmark_models

_ROUNDS = 15
# A training this short leaves many clips undecided, and each of them is a whole point.
_MAX_DROP_PP = 5.0
_MIN_AGREEMENT_PERCENT = 90.0
_VIDEO_FPS = 12.5
_VIDEO_SIZE = 384


@dataclass(slots=True)
class _Clock:
    """Announces each step and keeps how long it took."""

    console: Console
    spans_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Time one step."""
        self.console.say(f"\n== {title}")
        begin = time.perf_counter()
        yield
        self.spans_s[title] = time.perf_counter() - begin


@releases_claims
def run_demo(out: Path | None, seed: int, console: Console) -> Path:
    """Train both stages on avatars, export, calibrate, time, and run on an avatar video.

    Returns:
        The folder everything was written to; ``summary.md`` in it holds the results.

    Raises:
        S2DEdgeError: what any of the steps raises.
    """
    out = choose_output(out, Path("demo"))
    clock = _Clock(console)
    with clock.step("train: landmark network, image stage, video stage"):
        _, video_run = s2d_edge.train(out=out / "runs" / "avatars", seed=seed, console=console)
    with clock.step("export: one graph, temporal adapters fused, checked against PyTorch"):
        fp32 = s2d_edge.export(video_run, out=out / "bundles" / "avatars-cpu", console=console)
    with clock.step("calibrate: INT8, and what it costs"):
        int8, report = s2d_edge.calibrate(
            fp32,
            out=out / "bundles" / "avatars-cpu-int8",
            seed=seed,
            max_drop_pp=_MAX_DROP_PP,
            min_agreement_percent=_MIN_AGREEMENT_PERCENT,
            console=console,
        )
    with clock.step("benchmark: PyTorch, FP32 and INT8 in turn"):
        timings = benchmark_models(
            [fp32, int8],
            str(video_run),
            BenchmarkOptions(rounds=_ROUNDS),
            device="auto",
            threads=None,
            console=console,
        )
    with clock.step("run: an avatar video through the INT8 graph"):
        video = out / "avatar.mp4"
        write_avatar_video(video, seed=seed, fps=_VIDEO_FPS, size=_VIDEO_SIZE)
        live = run_live(
            console,
            bundle=int8,
            source=video,
            save=out / "annotated.mp4",
            json=str(out / "results.jsonl"),
        )
    write_text(out / "summary.md", _summary(out, report, timings, live, clock))
    console.show(Panel(_headline(out, report, timings), title="S2D-Edge demo", title_align="left"))
    return out


def _headline(out: Path, report: DropReport, timings: dict[str, Any]) -> str:
    """Return the result in a few sentences, and what to try next."""
    fp32, int8 = report.fp32.score, report.int8.score
    low, high = report.drop.war_pp_ci95
    speed, bundle = speed_text(report, timings)
    return f"""\
On {fp32["n"]} clips of avatars never seen in training, over {len(fp32["per_class"])} expressions:
  FP32 predicts {fp32["war"]:.1%} correctly (UAR {fp32["uar"]:.1%}),
  INT8 predicts {int8["war"]:.1%} correctly (UAR {int8["uar"]:.1%}).
  INT8 loses {report.drop.war_pp:+.2f} points of WAR (95 % interval {low:+.2f} to {high:+.2f}), and agrees \
with FP32 on {report.drop.agreement:.1%}.
  {speed}

Look at   {out / "annotated.mp4"}
Read      {out / "summary.md"} and {out / "bundles" / report.int8.bundle / "report.html"}

Try next, on a camera or a video of your own (this model has seen drawn faces only):
  s2d-edge run --bundle {out / "bundles" / bundle} --camera 0
  s2d-edge train --data YOUR.csv          s2d-edge doctor
  s2d-edge export --target jetson         s2d-edge calibrate"""


def speed_text(report: DropReport, timings: dict[str, Any]) -> tuple[str, str]:
    """Tell INT8's speed beside FP32 in the same runtime, then beside PyTorch; and name the faster bundle."""
    by_name = {model["name"]: model for model in timings["models"]}
    fp32, int8 = by_name[report.fp32.bundle], by_name[report.int8.bundle]
    ratio = int8["times_as_fast_as_fp32"]
    text = (
        f"INT8 predicts a clip in {int8['p50_ms']:.1f} ms, FP32 in the same runtime in "
        f"{fp32['p50_ms']:.1f} ms ({ratio:.2f} times as fast), from {report.int8.size_bytes / 1e6:.1f} "
        f"instead of {report.fp32.size_bytes / 1e6:.1f} MB."
    )
    faster = report.int8.bundle
    if ratio < WORTH:
        faster = report.fp32.bundle
        why = int8_hindrance() or "a model this small gains little from INT8 products"
        text += f"\n  INT8 is not faster on this machine, since {why}: run the FP32 bundle here."
    text += f"\n  Eager PyTorch takes {int8['speedup']:.1f} times as long as INT8."
    return text, faster


def _summary(out: Path, report: DropReport, timings: dict[str, Any], live: LiveSummary, clock: _Clock) -> str:
    """Return a page in Markdown with every figure and where it came from."""
    lines = ["# The demo's results", "", _as_quote(_headline(out, report, timings)), "", "## Speed", ""]
    lines += [
        "| model | p50 ms | p95 ms | clips/s | MB | times its FP32 | times PyTorch |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for model in timings["models"]:
        ratio = model["times_as_fast_as_fp32"]
        lines.append(
            f"| {model['name']} | {model['p50_ms']:.1f} | {model['p95_ms']:.1f} | {model['clips_per_s']:.2f} "
            f"| {model['size_bytes'] / 1e6:.1f} "
            f"| {'' if ratio is None else f'{ratio:.2f}'} | {model['speedup']:.2f} |"
        )
    lines += [
        "",
        "Measured in turn on this machine, one clip at a time, preprocessing and landmark network included.",
    ]
    lines += ["", "## The run on a video", "", live.to_text(), "", "## Time taken", ""]
    lines += [f"- {title}: {span_s:.0f} s" for title, span_s in clock.spans_s.items()]
    lines += [f"- in all: {sum(clock.spans_s.values()):.0f} s"]
    return "\n".join(lines) + "\n"


def _as_quote(text: str) -> str:
    return "```\n" + text + "\n```"
