"""``benchmark --pipeline``: what cameras cost from the decoded frame to the result, at their own pace.

The live pipelines run in a process of their own, so that its processor time and memory are theirs alone. The
time to the first result is that of a whole ``s2d-edge run``, once with an empty cache and once with a filled
one.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.bundle import open_bundle
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, S2DEdgeError
from s2d_edge.firmware_host.bench.paced import PacedSource
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.face_finder import open_face_finder
from s2d_edge.firmware_host.pipeline.config import PipelineConfig
from s2d_edge.firmware_host.pipeline.pipeline import Pipeline
from s2d_edge.firmware_host.pipeline.search_plan import SearchWhen
from s2d_edge.firmware_host.pipeline.stats import Span

WARMUP_S = 3.0
_TICK_S = 1 / 15  # a run looks at its state as often, for its panel
OTHER_THREADS = "runtime"
# Stages by the names of their threads.
_STAGES = {"s2d-capture": "decode", "s2d-face": "search and crop", "s2d-model": "model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """Number and pace of the cameras, and the time of the measurement.

    Attributes:
        fps: of each camera, frames per second.
        cameras: how many, each with a pipeline of its own.
        seconds: measured after a warm-up of three.
        search: the frames that are searched for faces.
        threads: limit of an engine's CPU threads.
    """

    fps: float = 25.0
    cameras: int = 1
    seconds: float = 20.0
    search: SearchWhen = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.fps <= 240:
            raise ConfigError(f"--fps {self.fps} must lie in [1, 240] frames per second")
        if not 1 <= self.cameras <= 16:
            raise ConfigError(f"--cameras {self.cameras} must lie in [1, 16]")
        if not 1 <= self.seconds <= 3600:
            raise ConfigError(f"--seconds {self.seconds} must lie in [1, 3600]")
        PipelineConfig(search=self.search)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCost:
    """Cost of all cameras together.

    Attributes:
        engine: description of the engine.
        size: width and height of the frames, pixels.
        seconds: wall time of the measurement.
        cpu_s: processor seconds by stage: ``decode``, ``search and crop``, ``model``, the ``runtime``'s own
            threads, which both graphs share, and ``main``, the process's first thread.
        times_ms: of all cameras, by what took them, (n,) milliseconds each.
        frames: that came, searched frames, results, and frames that came too late, of all cameras.
        results_of: results of each camera.
        peak_memory_bytes: largest resident memory of the process.
        first_result_s: seconds from the command to the first result, with an empty cache (``cold``) and with
            a filled one (``warm``).
    """

    engine: str
    size: tuple[int, int]
    seconds: float
    cpu_s: Mapping[str, float]
    times_ms: Mapping[Span, NDArray[np.float32]]
    frames: int
    searched: int
    results: int
    dropped: int
    results_of: tuple[int, ...]
    peak_memory_bytes: int
    first_result_s: Mapping[str, float]

    @property
    def cpu_s_per_minute(self) -> float:
        """Processor seconds of all cameras in a minute."""
        return 60 * sum(self.cpu_s.values()) / self.seconds


def measure_live(bundle: Path, device: str, source: Path, options: LiveOptions, console: Console) -> LiveCost:
    """Run cameras in another process, and measure what they cost.

    Args:
        bundle: folder of the bundle.
        device: as ``--device`` gives it.
        source: a video, played at the cameras' pace.
        options: number and pace of the cameras, time of the measurement.
        console: shows what is done.

    Raises:
        S2DEdgeError: the bundle, the device or the video cannot be used.
    """
    console.say("timing the first result of a run, with an empty cache and with a filled one")
    first = _first_results(bundle, device, source)
    console.say(f"measuring {options.cameras} × {options.fps:g} frames per second for {options.seconds:g} s")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run_cameras, bundle, device, source, options, first).result()


def _first_results(bundle: Path, device: str, source: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "s2d_edge", "run", "--bundle", str(bundle), "--device", device]
    command += ["--source", str(source), "--json", "-", "--quiet"]
    with tempfile.TemporaryDirectory(prefix="s2d-edge-") as cache:
        environment = os.environ | {"S2D_EDGE_CACHE": cache}
        return {state: _first_result_s(command, environment) for state in ("cold", "warm")}


def _first_result_s(command: list[str], environment: Mapping[str, str]) -> float:
    begun_s = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        took_s = time.perf_counter() - begun_s
        process.kill()
        if not line:
            said = process.stderr.read().strip().removeprefix("error: ")
            raise S2DEdgeError(f"a run gave no result: {said}")
    return took_s


def _run_cameras(
    bundle: Path, device: str, source: Path, options: LiveOptions, first: Mapping[str, float]
) -> LiveCost:
    """The process of the measurement."""
    opened = open_bundle(bundle)
    config = PipelineConfig(search=options.search)
    with ExitStack() as stack:
        pipelines = []
        for _ in range(options.cameras):
            paced = PacedSource(source, options.fps)
            engine = stack.enter_context(open_engine(opened, device, threads=options.threads))
            finder = stack.enter_context(open_face_finder(config, opened, engine))
            pipeline = Pipeline(
                source=paced,
                detector=finder,
                engine=engine,
                recipe=opened.manifest.crop,
                config=config,
                on_result=lambda result: None,
            )
            stack.callback(pipeline.wait)
            stack.callback(pipeline.abort)
            pipelines.append(pipeline)
        for pipeline in pipelines:
            pipeline.start()
        _look_on(pipelines, WARMUP_S)
        for pipeline in pipelines:
            pipeline.forget_times()
        counted = [pipeline.counts for pipeline in pipelines]
        before, begun_s = _cpu_s(), time.perf_counter()
        _look_on(pipelines, options.seconds)
        spent, seconds = _cpu_s(), time.perf_counter() - begun_s
        now = [pipeline.counts for pipeline in pipelines]
        times = [pipeline.times for pipeline in pipelines]
        for pipeline in pipelines:
            pipeline.stop()
            pipeline.join()
        gained = list(zip(counted, now, strict=True))
        return LiveCost(
            engine=engine.description,
            size=paced.size,
            seconds=seconds,
            cpu_s={stage: spent[stage] - before.get(stage, 0.0) for stage in spent},
            times_ms={span: np.concatenate([each[span] for each in times]) for span in times[0]},
            frames=sum(after.frames - early.frames for early, after in gained),
            searched=sum(after.analysed - early.analysed for early, after in gained),
            results=sum(after.results - early.results for early, after in gained),
            dropped=sum(after.dropped_frames - early.dropped_frames for early, after in gained),
            results_of=tuple(after.results - early.results for early, after in gained),
            peak_memory_bytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            first_result_s=first,
        )


def _look_on(pipelines: list[Pipeline], seconds: float) -> None:
    """Wait, and look at every pipeline as a run's panel does.

    Raises:
        S2DEdgeError: what ended a pipeline.
    """
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        for pipeline in pipelines:
            pipeline.snapshot()
            if not pipeline.running:
                pipeline.join()
        time.sleep(_TICK_S)


def _cpu_s() -> dict[str, float]:
    """Processor seconds of this process so far, by stage."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    ticks = os.sysconf("SC_CLK_TCK")
    spent = dict.fromkeys((*_STAGES.values(), OTHER_THREADS, "main"), 0.0)
    for task in Path("/proc/self/task").iterdir():
        try:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # a thread that ended meanwhile
            continue
        name = names.get(int(task.name), "")
        stage = "main" if name == "MainThread" else _STAGES.get(name, OTHER_THREADS)
        spent[stage] += (int(fields[11]) + int(fields[12])) / ticks  # utime and stime, proc(5)
    return spent
