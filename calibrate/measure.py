"""What INT8 costs, measured: both graphs answer the same clips through the host's own engines."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2d_edge.data.clips import LoadedClip
from s2d_edge.engine import Engine
from s2d_edge.errors import DataError
from s2d_edge.evaluation import Predictions, gather


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One engine on the evaluation clips.

    Attributes:
        engine: runtime and device in use.
        predictions: n clips.
        latency_ms: (windows,) float64, one clip's inference each, in milliseconds.
    """

    engine: str
    predictions: Predictions
    latency_ms: NDArray[np.float64]

    def percentile_ms(self, percent: float) -> float:
        """A percentile of the latency, in milliseconds."""
        return float(np.percentile(self.latency_ms, percent))


def measure_pair(fp32: Engine, int8: Engine, clips: Iterable[LoadedClip]) -> tuple[Measurement, Measurement]:
    """Let two engines answer the same clips in turn, so that drift of the machine hits both alike.

    The one that goes first changes from clip to clip. Each engine answers the first clip once before,
    untimed.

    Raises:
        DataError: no clip.
        DeviceError: what the engines raise.
    """
    engines = (fp32, int8)
    logits: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
    times: tuple[list[float], list[float]] = ([], [])
    for number, clip in enumerate(clips):
        windows = clip.windows
        if number == 0:
            for engine in engines:
                engine.infer(windows[:1])
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            answers = []
            for window in windows:
                begin = time.perf_counter()
                answers.append(engines[which].infer(window[None]))
                times[which].append(1000 * (time.perf_counter() - begin))
            logits[which].append(np.concatenate(answers))  # V of (1, K) -> (V, K)
    if not logits[0]:
        raise DataError("there is no clip to measure on; give an evaluation split with clips")
    one, other = (
        Measurement(
            engine=engine.description,
            predictions=gather(answers),
            latency_ms=np.array(spans, dtype=np.float64),
        )
        for engine, answers, spans in zip(engines, logits, times, strict=True)
    )
    return one, other
