"""Validation function of NNCF's accuracy control: the margin to the gate's limits, on its clips.

NNCF quantizes, ranks the quantizers by the gain without each, and puts layers back into floating point, the
largest gain first, until the limits pass. Each evaluation of all clips takes long, so the search is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2d_edge.calibrate.graphs.feeds import Feed, Feeds
from s2d_edge.contracts.engine import Logits
from s2d_edge.core import metrics

RESTORED_AT_MOST = 16  # groups of layers put back into floating point
RANKED_ON = 16  # clips
_TIE_BREAKER = 1e-6  # points for a logit difference of 1: on a few clips the predictions are often equal
# Added to every value of `validate`: NNCF divides by FP32's, which is 0 points where no loss passes.
_NEVER_ZERO = 100.0

Item = tuple[Feed, int]  # and the clip's number


class Control:
    """Validation clips, one feed each, and the points that a graph's predictions leave to the limits.

    For a stream, a feed is the clip's last frame with the state that FP32 has there. The gate measures the
    result again as it measures every other graph.
    """

    def __init__(
        self,
        feeds: Feeds,
        truth: metrics.Labels,
        fp32: Logits,
        margin_pp: Callable[[metrics.Labels, metrics.Labels, metrics.Labels], float],
    ) -> None:
        """Args:
        feeds: one for each of n clips.
        truth: (n,) the labels.
        fp32: (n, K) the logits of FP32.
        margin_pp: takes labels, FP32's predictions and other predictions; returns the percentage points left
            of WAR, UAR or agreement, the fewest; negative where a limit fails.
        """
        self.items = _Items(feeds)
        self._truth = truth
        self._fp32 = fp32
        self._margin_pp = margin_pp

    @property
    def max_drop(self) -> float:
        """Largest fall of :meth:`validate` that passes: to where no points are left, tie-breakers aside."""
        predicted = self._fp32.argmax(axis=1)
        return self._margin_pp(self._truth, predicted, predicted) + 1000 * _TIE_BREAKER

    @staticmethod
    def feed(item: Item) -> Feed:
        """Return the graph's inputs in an item."""
        return item[0]

    def validate(self, model: Any, items: Iterable[Item]) -> tuple[float, list[float]]:
        """Evaluate a model on clips, as NNCF calls a validation function.

        Args:
            model: a compiled OpenVINO model, or an ONNX model.
            items: some of :attr:`items`.

        Returns:
            100 plus the points left, and for each clip the negative RMS difference of its logits from FP32's.
            NNCF can rank by logits itself, but only those of OpenVINO graphs, and then puts back first the
            layers that gain least.
        """
        infer = _inference(model)
        numbers, logits = [], []
        for feed, number in items:
            numbers.append(number)
            logits.append(infer(feed)[0])
        fp32, found = self._fp32[numbers], np.stack(logits)  # (n, K)
        distances = np.sqrt(np.mean((fp32 - found) ** 2, axis=1))
        margin = self._margin_pp(self._truth[numbers], fp32.argmax(axis=1), found.argmax(axis=1))
        points = _NEVER_ZERO + margin - _TIE_BREAKER * float(distances.mean())
        return points, (-distances).tolist()


class _Items:
    """Feeds with their numbers, which can be iterated over repeatedly."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds

    def __len__(self) -> int:
        return len(self._feeds)

    def __iter__(self) -> Iterator[Item]:
        for number, feed in enumerate(self._feeds):
            yield feed, number


def _inference(model: Any) -> Callable[[Feed], Logits]:
    """Return the function that runs a model: feed to logits (1, K)."""
    if not hasattr(model, "SerializeToString"):
        # Compiled by NNCF: where INT8 sums overflow (engines.exact_int8), it ranks by the clipped sums.
        return lambda feed: np.array(model(feed)[0], dtype=np.float32)
    from s2d_edge.calibrate.graphs.onnx_session import cpu_session

    session = cpu_session(model)
    output = session.get_outputs()[0].name

    def infer(feed: Feed) -> NDArray[np.float32]:
        return np.asarray(session.run([output], feed)[0], dtype=np.float32)

    return infer


def restored_layers(graph: Path) -> tuple[str, ...]:
    """Name the linears and convolutions of an INT8 graph that are in floating point."""
    from s2d_edge.calibrate.graphs.int8_macs import layers_of

    return tuple(layer.name for layer in layers_of(graph) if not layer.int8)
