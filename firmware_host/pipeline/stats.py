"""Counting what happens, for the panel and the summary. Safe to use from every thread."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from threading import Lock

import numpy as np

RATE_OVER_S = 3.0
LATENCIES_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """A moment's counts.

    Attributes:
        frames: delivered by the source.
        analysed: of these, searched for a face.
        with_face: of these, with one.
        results: answers of the model.
        dropped_frames: lost between source and face search.
        dropped_clips: lost between clip window and model.
        source_fps: frames per second over the last seconds.
        results_per_s: answers per second over the last seconds.
        latency_p50_ms: frame decoded to result, median.
        latency_p95_ms: the same, 95th percentile.
        infer_p50_ms: the model's part, median.
    """

    frames: int
    analysed: int
    with_face: int
    results: int
    dropped_frames: int
    dropped_clips: int
    source_fps: float
    results_per_s: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    infer_p50_ms: float | None


class Rate:
    """Events per second over the last seconds."""

    def __init__(self, over_s: float = RATE_OVER_S) -> None:
        self._over_s = over_s
        self._times: deque[float] = deque()

    def tick(self, now_s: float) -> None:
        """One event."""
        self._times.append(now_s)
        self._forget(now_s)

    def per_second(self, now_s: float) -> float:
        """The rate now; 0 until there were two events."""
        self._forget(now_s)
        if len(self._times) < 2:
            return 0.0
        return len(self._times) / max(now_s - self._times[0], 1e-6)

    def _forget(self, now_s: float) -> None:
        while self._times and now_s - self._times[0] > self._over_s:
            self._times.popleft()


class LiveStats:
    """Collects; :meth:`counts` reads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._frames = 0
        self._analysed = 0
        self._with_face = 0
        self._results = 0
        self._frame_rate = Rate()
        self._result_rate = Rate()
        self._latency_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._infer_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def frame_came(self) -> None:
        """The source delivered a frame."""
        with self._lock:
            self._frames += 1
            self._frame_rate.tick(time.perf_counter())

    def frame_analysed(self, *, face: bool) -> None:
        """A frame was searched for a face."""
        with self._lock:
            self._analysed += 1
            self._with_face += face

    def result_came(self, latency_ms: float, infer_ms: float) -> None:
        """The model answered."""
        with self._lock:
            self._results += 1
            self._result_rate.tick(time.perf_counter())
            self._latency_ms.append(latency_ms)
            self._infer_ms.append(infer_ms)

    def counts(self, *, dropped_frames: int, dropped_clips: int) -> Counts:
        """Everything so far."""
        now_s = time.perf_counter()
        with self._lock:
            latency, infer = np.array(self._latency_ms), np.array(self._infer_ms)
            return Counts(
                frames=self._frames,
                analysed=self._analysed,
                with_face=self._with_face,
                results=self._results,
                dropped_frames=dropped_frames,
                dropped_clips=dropped_clips,
                source_fps=self._frame_rate.per_second(now_s),
                results_per_s=self._result_rate.per_second(now_s),
                latency_p50_ms=float(np.percentile(latency, 50)) if latency.size else None,
                latency_p95_ms=float(np.percentile(latency, 95)) if latency.size else None,
                infer_p50_ms=float(np.percentile(infer, 50)) if infer.size else None,
            )
