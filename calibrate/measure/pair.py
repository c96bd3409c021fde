"""Predict the same clips with FP32 and INT8 in turn, through the host's own engines, and time both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.engine import Engine
from s2d_edge.contracts.evaluation import Predictions, gather, predict_windows
from s2d_edge.core.errors import DataError
from s2d_edge.data.preparing.loaded import LoadedClip
from s2d_edge.firmware_host.bench.timing import full_stream, time_once, time_step

TIMED_CLIPS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One engine on the evaluation clips.

    Attributes:
        engine: runtime and device in use.
        predictions: n clips.
        latency_ms: float64, one prediction each, in milliseconds: of a clip, or in a stream of a frame.
    """

    engine: str
    predictions: Predictions
    latency_ms: NDArray[np.float64]

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latency, in milliseconds."""
        return float(np.percentile(self.latency_ms, percent))


def measure_pair(fp32: Engine, int8: Engine, clips: Iterable[LoadedClip]) -> tuple[Measurement, Measurement]:
    """Predict the same clips with two engines, then time both on some of them.

    Timing comes last, since clips may still be loading in other processes before. It alternates between the
    engines, so that drift of the machine affects both equally.

    Raises:
        DataError: no clip.
        DeviceError: what the engines raise.
    """
    window_logits: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
    kept: list[NDArray[np.uint8]] = []
    for clip in clips:
        for engine, logits in zip((fp32, int8), window_logits, strict=True):
            logits.append(predict_windows(engine, clip))
        if len(kept) < TIMED_CLIPS:
            kept.append(clip.windows[:1])
    if not kept:
        raise DataError("there is no clip to measure on; give an evaluation split with clips")
    times = time_in_turn(fp32, int8, kept)
    one, other = (
        Measurement(engine=engine.description, predictions=gather(logits), latency_ms=spans)
        for engine, logits, spans in zip((fp32, int8), window_logits, times, strict=True)
    )
    return one, other


def time_in_turn(
    fp32: Engine, int8: Engine, clips: Sequence[NDArray[np.uint8]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Time the predictions of two engines in turn, milliseconds; both are warm already.

    Args:
        clips: (1, T, S, S, 3) uint8 each; one prediction of each is timed, in a stream that of a frame.
    """
    engines = (fp32, int8)
    streams = [full_stream(engine, clips[0]) for engine in engines]
    spans = np.empty((2, len(clips)))
    for number, clip in enumerate(clips):
        for index in (0, 1) if number % 2 == 0 else (1, 0):
            stream = streams[index]
            spans[index, number] = (
                time_once(engines[index], clip) if stream is None else time_step(stream, clip)
            )
    return spans[0], spans[1]
