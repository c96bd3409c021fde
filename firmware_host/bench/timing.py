"""Time engines in turn, so that drift of the machine affects all equally."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Clip, Engine, Logits
from s2d_edge.firmware_host.engines.base import stream_of
from s2d_edge.firmware_host.engines.stream import StreamSession

_AT_LEAST_ROUNDS = 5


def time_once(engine: Engine, clip: Clip) -> float:
    """Return the milliseconds that one inference takes."""
    begin = time.perf_counter()
    engine.infer(clip)
    return 1000 * (time.perf_counter() - begin)


def random_clip(spec: ClipSpec) -> Clip:
    """Draw noise, (1, T, S, S, 3) uint8: no graph's speed depends on its input."""
    shape = (1, spec.frames, spec.size, spec.size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def full_stream(engine: Engine, clip: Clip) -> StreamSession | None:
    """Open a stream and end its warm-up with T frames of ``clip``; None for an engine of whole clips."""
    session = stream_of(engine)
    if session is not None:
        for _ in range(engine.spec.frames):
            next_step(session, clip)
    return session


def time_step(session: StreamSession, clip: Clip) -> float:
    """Return the milliseconds that the next frame of a stream takes."""
    begin = time.perf_counter()
    next_step(session, clip)
    return 1000 * (time.perf_counter() - begin)


def next_step(session: StreamSession, clip: Clip) -> Logits:
    """Compute the logits of a stream's next frame, taken from ``clip`` in a circle."""
    number = session.next_number
    return session.step(clip[:, number % clip.shape[1]], number)


def alternate(engines: Sequence[Engine], clip: Clip, *, at_least_s: float) -> NDArray[np.float64]:
    """Time engines in turn, the order reversed every other round, after one warm-up each.

    Returns:
        (engines, rounds) float64 milliseconds; at least five rounds, and ``at_least_s`` seconds in all.
    """
    for engine in engines:
        engine.infer(clip)
    rounds: list[list[float]] = []
    end_s = time.perf_counter() + at_least_s
    while len(rounds) < _AT_LEAST_ROUNDS or time.perf_counter() < end_s:
        order = range(len(engines)) if len(rounds) % 2 == 0 else reversed(range(len(engines)))
        spans = [0.0] * len(engines)
        for which in order:
            spans[which] = time_once(engines[which], clip)
        rounds.append(spans)
    return np.array(rounds, dtype=np.float64).T
