"""Counts and rates of a running pipeline, for the panel and the summary."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock

import numpy as np

from s2d_edge.firmware_host.io.view import Counts

RATE_OVER_S = 3.0
LATENCIES_KEPT = 10_000


class Rate:
    """Events per second over the last seconds."""

    def __init__(self, over_s: float = RATE_OVER_S) -> None:
        self._over_s = over_s
        self._times: deque[float] = deque()

    def tick(self, now_s: float) -> None:
        """Count one event at ``now_s`` seconds; times rise."""
        self._times.append(now_s)
        self._forget(now_s)

    def per_second(self, now_s: float) -> float:
        """Intervals between the events of the last seconds, over the time since the first of them.

        Returns:
            0 with fewer than two events; it falls while no event comes.
        """
        self._forget(now_s)
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(now_s - self._times[0], 1e-6)

    def _forget(self, now_s: float) -> None:
        while self._times and now_s - self._times[0] > self._over_s:
            self._times.popleft()


class LiveStats:
    """Counts events of all stages; every method can be called from any thread."""

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
        """Count a frame that was taken from the source."""
        with self._lock:
            self._frames += 1
            self._frame_rate.tick(time.perf_counter())

    def frame_analysed(self, *, face: bool) -> None:
        """Count a frame that was searched; ``face`` says if a followed one is in it."""
        with self._lock:
            self._analysed += 1
            self._with_face += face

    def result_came(self, latency_ms: float, infer_ms: float) -> None:
        """Count a result and its times, milliseconds."""
        with self._lock:
            self._results += 1
            self._result_rate.tick(time.perf_counter())
            self._latency_ms.append(latency_ms)
            self._infer_ms.append(infer_ms)

    def counts(self, *, dropped_frames: int, dropped_clips: int, unwritten_frames: int) -> Counts:
        """Everything so far, and what the queues dropped."""
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
                unwritten_frames=unwritten_frames,
                source_fps=self._frame_rate.per_second(now_s),
                results_per_s=self._result_rate.per_second(now_s),
                latency_p50_ms=float(np.percentile(latency, 50)) if latency.size else None,
                latency_p95_ms=float(np.percentile(latency, 95)) if latency.size else None,
                infer_p50_ms=float(np.percentile(infer, 50)) if infer.size else None,
            )
