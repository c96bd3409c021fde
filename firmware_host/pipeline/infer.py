"""The model stage: predicts clips, and hands on a result for each."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from s2d_edge.firmware_host.io.results import LiveResult
from s2d_edge.firmware_host.io.source import Frame
from s2d_edge.firmware_host.pipeline.board import Board
from s2d_edge.firmware_host.pipeline.faults import Faults
from s2d_edge.firmware_host.pipeline.messages import ClipRequest
from s2d_edge.firmware_host.pipeline.per_face import FacePredictors
from s2d_edge.firmware_host.pipeline.queues import BoundedQueue
from s2d_edge.firmware_host.pipeline.stage import Stage
from s2d_edge.firmware_host.pipeline.stats import LiveStats


class InferStage(Stage):
    """Predicts every clip it gets."""

    def __init__(
        self,
        requests: BoundedQueue[ClipRequest],
        *,
        predictors: FacePredictors,
        labels: tuple[str, ...],
        frames: BoundedQueue[Frame],
        board: Board,
        stats: LiveStats,
        faults: Faults,
        on_result: Callable[[LiveResult], None] | None,
        on_end: Callable[[], None] | None,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """Prepare to predict.

        Args:
            requests: input.
            predictors: used in the thread of this stage only.
            labels: every class, in the model's order.
            frames: queue of the face search, whose losses each result states.
            board: gets every result.
            stats: counts the results.
            faults: counts the clips that could not be predicted.
            on_result: called in this stage's thread with each result.
            on_end: called in this stage's thread after the last result.
            on_failure: see :class:`Stage`.
        """
        super().__init__("model", on_failure)
        self._requests = requests
        self._predictors = predictors
        self._labels = labels
        self._frames = frames
        self._board = board
        self._stats = stats
        self._faults = faults
        self._on_result = on_result
        self._on_end = on_end

    def work(self) -> None:
        """Predict every clip until there are no more."""
        try:
            for request in self._requests:
                result = self._faults.attempt(partial(self._predict, request))
                if result is not None and self._on_result is not None:
                    done_s = time.perf_counter()
                    self._on_result(result)
                    self._stats.took("outputs", (time.perf_counter() - done_s) * 1e3)
                self._board.put_result(request.ticket, result)
        finally:
            self._board.end_results()
            if self._on_end is not None:
                self._on_end()

    def _predict(self, request: ClipRequest) -> LiveResult | None:
        started_s = time.perf_counter()
        prediction = self._predictors.predict(request)
        done_s = time.perf_counter()
        if prediction is None:
            return None
        probabilities = prediction.probabilities
        result = LiveResult(
            t_s=request.last.t_s,
            frame=request.last.index,
            face=request.last.box,
            track=request.track,
            label=self._labels[int(probabilities.argmax())],
            probabilities=dict(zip(self._labels, (float(p) for p in probabilities), strict=True)),
            logits=tuple(float(logit) for logit in prediction.logits),
            latency_ms=(done_s - request.last.arrived_s) * 1e3,
            infer_ms=(done_s - started_s) * 1e3,
            dropped=self._frames.dropped,
            dropped_clips=self._requests.dropped,
            warming=prediction.warming,
            pace=prediction.pace,
        )
        self._stats.took("wait for model", (started_s - request.made_s) * 1e3)
        self._stats.result_came(result.latency_ms, result.infer_ms, result.pace)
        return result
