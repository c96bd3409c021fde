"""Timing engines side by side: in turn, so that drift of the machine hits all alike."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firmware_host.engines.stream import StreamSession
from s2d_edge.engine import Clip, Engine, Logits

_AT_LEAST_ROUNDS = 5


def time_once(engine: Engine, clip: Clip) -> float:
    """Milliseconds one inference takes."""
    begin = time.perf_counter()
    engine.infer(clip)
    return 1000 * (time.perf_counter() - begin)


def time_step(session: StreamSession, clip: Clip) -> float:
    """Milliseconds the next frame of a stream takes."""
    begin = time.perf_counter()
    next_step(session, clip)
    return 1000 * (time.perf_counter() - begin)


def next_step(session: StreamSession, clip: Clip) -> Logits:
    """Answer the next frame of a stream, which goes through ``clip`` in a circle."""
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
