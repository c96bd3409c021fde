"""``benchmark``: measure latency, peak memory and size of models, in turn, each in its own process.

A window bundle or a run folder predicts a clip; a stream bundle predicts a frame, after its warm-up.

Each model has a process, so that peak memory is its own. They run in turn, so that drift of the machine
affects all equally. Only one of them computes at any time.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.engine import Engine
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError, DeviceError, S2DEdgeError
from s2d_edge.firmware_host.bench.timing import full_stream, random_clip, time_once, time_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A model to time.

    Attributes:
        name: for the table.
        open: opens its engine; called in the model's own process, so it must be picklable.
        size_bytes: of the graph and weights on disk.
        pair: equal for an INT8 graph and the FP32 graph it was quantized from; None for others.
        precision: ``int8`` or ``fp32``.
    """

    name: str
    open: Callable[[], Engine]
    size_bytes: int
    pair: Hashable = None
    precision: str = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkOptions:
    """The number of timed and of warm-up rounds.

    Attributes:
        rounds: timed inferences per model.
        warmup: untimed ones before.
    """

    rounds: int = 20
    warmup: int = 3

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.warmup < 0:
            raise ConfigError(f"--rounds {self.rounds} must be at least 1, --warmup {self.warmup} at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One model's figures.

    Attributes:
        fps: samples per second of video.
        unit: the input of one prediction: a ``clip`` of T frames, or in a stream one ``frame``.
        state_bytes: memory of a face's rings; 0 without a stream.
        latency_ms: float64, one per round, in the order measured.
        peak_memory_bytes: largest resident memory of its process, runtime included.
        times_as_fast_as_fp32: of an INT8 graph, the median latency of its FP32 graph, timed in the same run
            in the same runtime, over its own; None where that was not timed.
    """

    name: str
    engine: str
    frames: int
    fps: float
    unit: Literal["clip", "frame"]
    state_bytes: int
    latency_ms: NDArray[np.float64]
    size_bytes: int
    peak_memory_bytes: int
    times_as_fast_as_fp32: float | None = None

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latency."""
        return float(np.percentile(self.latency_ms, percent))

    @property
    def predictions_per_s(self) -> float:
        """Predictions per second, one after the other."""
        return 1000 / float(self.latency_ms.mean())

    @property
    def ms_per_video_second(self) -> float:
        """Milliseconds of work for a second of video with a prediction at every sample, by median latency."""
        return self.fps * self.percentile_ms(50)


class _Opened(NamedTuple):
    """The first message of a model's process."""

    engine: str
    frames: int
    fps: float
    unit: Literal["clip", "frame"]
    state_bytes: int


class _Runner:
    """One model in its own process."""

    def __init__(self, contender: Contender) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=_serve, args=(contender.open, there), daemon=True
        )
        self._process.start()
        there.close()
        self.name = contender.name
        self.size_bytes = contender.size_bytes

    def request(self, what: str) -> Any:
        """Send one request and wait for its reply.

        Raises:
            S2DEdgeError: the error of the process, or the process ended.
        """
        try:
            self._here.send(what)
            reply = self._here.recv()
        except (EOFError, BrokenPipeError):
            raise DeviceError(
                f"{self.name}: its process ended while it was timed; usually it ran out of memory: close "
                "other programs, or time fewer models"
            ) from None
        if isinstance(reply, S2DEdgeError):
            raise reply
        return reply

    def __enter__(self) -> _Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._here.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()


def _serve(opener: Callable[[], Engine], connection: Connection) -> None:
    """Run the process of one model: serve ``open``, ``time`` and ``memory`` until the other end closes."""
    engine: Engine | None = None
    try:
        while True:
            what = connection.recv()
            try:
                if what == "open":
                    engine = opener()
                    clip = random_clip(engine.spec)
                    session = full_stream(engine, clip)
                    connection.send(
                        _Opened(
                            engine=engine.description,
                            frames=engine.spec.frames,
                            fps=engine.spec.fps,
                            unit="clip" if session is None else "frame",
                            state_bytes=0 if session is None else session.state_bytes,
                        )
                    )
                elif what == "time":
                    assert engine is not None
                    connection.send(time_once(engine, clip) if session is None else time_step(session, clip))
                else:
                    connection.send(_peak_memory_bytes())
            except S2DEdgeError as error:
                connection.send(error)
    except (EOFError, KeyboardInterrupt):
        return
    finally:
        if engine is not None:
            engine.close()


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # macOS counts bytes, Linux KiB


def benchmark(contenders: Sequence[Contender], options: BenchmarkOptions, console: Console) -> list[Timing]:
    """Time models in turn, the order reversed every other round.

    Raises:
        S2DEdgeError: what opening or running a model raises.
    """
    with ExitStack() as stack:
        runners = [stack.enter_context(_Runner(contender)) for contender in contenders]
        opened: list[_Opened] = [runner.request("open") for runner in runners]
        spans = np.empty((len(runners), options.rounds))
        steps = len(runners) * (options.rounds + options.warmup)
        with console.progress("timing in turn", steps) as advance:
            for number in range(-options.warmup, options.rounds):
                order = range(len(runners)) if number % 2 == 0 else reversed(range(len(runners)))
                for which in order:
                    span = runners[which].request("time")
                    if number >= 0:
                        spans[which, number] = span
                    advance(1)
        medians = np.median(spans, axis=1)
        return [
            Timing(
                name=runner.name,
                engine=one.engine,
                frames=one.frames,
                fps=one.fps,
                unit=one.unit,
                state_bytes=one.state_bytes,
                latency_ms=spans[number],
                size_bytes=runner.size_bytes,
                peak_memory_bytes=int(runner.request("memory")),
                times_as_fast_as_fp32=None
                if (fp32 := _fp32_of(contenders, number)) is None
                else float(medians[fp32] / medians[number]),
            )
            for number, (runner, one) in enumerate(zip(runners, opened, strict=True))
        ]


def _fp32_of(contenders: Sequence[Contender], number: int) -> int | None:
    """Return the place of the FP32 graph that an INT8 graph was quantized from; None if it is not there."""
    int8 = contenders[number]
    if int8.precision != "int8" or int8.pair is None:
        return None
    found = (at for at, one in enumerate(contenders) if one.precision == "fp32" and one.pair == int8.pair)
    return next(found, None)
