"""Counts and rates of a running pipeline, for the panel and the summary."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from threading import Lock
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from s2d_edge.firmware_host.io.view import Counts
from s2d_edge.media.sampling import SLOW_PACE

Span = Literal["latency", "wait for search", "search", "crop", "wait for model", "model", "outputs"]
"""Times that are kept: a sample's latency from its decoded frame to its result, the steps on this way in
their order, and what was done with the result then."""

RATE_OVER_S = 3.0
TIMES_KEPT = 10_000
_EVENTS_KEPT = 1024
_LEAST_EVENTS = 3  # however slow: two intervals


class Rate:
    """Events per second over the last seconds; of slow events, over the last few."""

    def __init__(self, over_s: float = RATE_OVER_S) -> None:
        self._over_s = over_s
        self._times: deque[float] = deque(maxlen=_EVENTS_KEPT)

    def tick(self, now_s: float) -> None:
        """Count one event at ``now_s`` seconds; times rise."""
        self._times.append(now_s)
        self._forget(now_s)

    def per_second(self, now_s: float) -> float:
        """Return how often events come.

        Between two events of a steady pace this is the pace. It falls as soon as an event is overdue.

        Returns:
            0 with fewer than two events, and when none came for the time of several.
        """
        self._forget(now_s)
        intervals = len(self._times) - 1
        if intervals < 1:
            return 0.0
        first_s, last_s = self._times[0], self._times[-1]
        usual_s = (last_s - first_s) / intervals
        if now_s - last_s > max(self._over_s, 3 * usual_s):
            return 0.0
        return intervals / max(last_s - first_s, now_s - first_s - usual_s, 1e-6)

    def _forget(self, now_s: float) -> None:
        while len(self._times) > _LEAST_EVENTS and now_s - self._times[0] > self._over_s:
            self._times.popleft()


class _Times:
    """The last times that something took, milliseconds, in memory of one size."""

    def __init__(self) -> None:
        self._kept_ms: NDArray[np.float32] = np.zeros(TIMES_KEPT, np.float32)
        self._count = 0

    def add(self, took_ms: float) -> None:
        self._kept_ms[self._count % TIMES_KEPT] = took_ms
        self._count += 1

    def clear(self) -> None:
        self._count = 0

    def copy(self) -> NDArray[np.float32]:
        """(n,) float32, in any order."""
        return self._kept_ms[: self._count].copy()


class LiveStats:
    """Counts events of all stages; every method can be called from any thread.

    The lock is held to count and to copy; everything that is computed from the copies is computed outside.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._frames = 0
        self._analysed = 0
        self._passed_over = 0
        self._with_face = 0
        self._results = 0
        self._slow_results = 0
        self._pace = 1.0
        self._frame_rate = Rate()
        self._result_rate = Rate()
        self._times: dict[Span, _Times] = {span: _Times() for span in get_args(Span)}

    def frame_came(self) -> None:
        """Count a frame that was taken from the source."""
        now_s = time.perf_counter()
        with self._lock:
            self._frames += 1
            self._frame_rate.tick(now_s)

    def frame_analysed(self, *, face: bool) -> None:
        """Count a frame that was searched; ``face`` says if a followed one is in it."""
        with self._lock:
            self._analysed += 1
            self._with_face += face

    def frame_passed_over(self) -> None:
        """Count a frame that needed no search."""
        with self._lock:
            self._passed_over += 1

    def took(self, span: Span, took_ms: float) -> None:
        """Note how long something took, milliseconds."""
        with self._lock:
            self._times[span].add(took_ms)

    def result_came(self, latency_ms: float, infer_ms: float, pace: float) -> None:
        """Count a result.

        Args:
            latency_ms: from decoding the frame to the result.
            infer_ms: the model's part of it.
            pace: mean distance of its samples, in periods of the model's rate.
        """
        now_s = time.perf_counter()
        with self._lock:
            self._results += 1
            self._result_rate.tick(now_s)
            self._times["latency"].add(latency_ms)
            self._times["model"].add(infer_ms)
            if pace > SLOW_PACE:
                self._slow_results += 1
                self._pace = pace

    def forget_times(self) -> None:
        """Forget every time that was kept, such as those of a warm-up."""
        with self._lock:
            for times in self._times.values():
                times.clear()

    def times(self) -> Mapping[Span, NDArray[np.float32]]:
        """The last 10,000 times of each kind, (n,) milliseconds in any order."""
        with self._lock:
            return {span: times.copy() for span, times in self._times.items()}

    def counts(
        self,
        *,
        dropped_frames: int,
        dropped_clips: int,
        unwritten_frames: int,
        failed_frames: int = 0,
        failed_clips: int = 0,
    ) -> Counts:
        """Everything so far, and what was dropped or failed; percentiles are of the last 10,000 results."""
        with self._lock:
            now_s = time.perf_counter()
            frames, analysed, with_face = self._frames, self._analysed, self._with_face
            passed_over = self._passed_over
            results, slow_results, pace = self._results, self._slow_results, self._pace
            source_fps = self._frame_rate.per_second(now_s)
            results_per_s = self._result_rate.per_second(now_s)
            latency, infer = self._times["latency"].copy(), self._times["model"].copy()
        return Counts(
            frames=frames,
            analysed=analysed,
            passed_over=passed_over,
            with_face=with_face,
            results=results,
            slow_results=slow_results,
            pace=pace,
            dropped_frames=dropped_frames,
            dropped_clips=dropped_clips,
            unwritten_frames=unwritten_frames,
            failed_frames=failed_frames,
            failed_clips=failed_clips,
            source_fps=source_fps,
            results_per_s=results_per_s,
            latency_p50_ms=_percentile(latency, 50),
            latency_p95_ms=_percentile(latency, 95),
            infer_p50_ms=_percentile(infer, 50),
        )


def _percentile(times_ms: NDArray[np.float32], percent: int) -> float | None:
    """A percentile of (n,) times, interpolated; None of none."""
    return float(np.percentile(times_ms, percent)) if times_ms.size else None
