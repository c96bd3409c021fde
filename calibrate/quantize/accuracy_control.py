"""What NNCF's accuracy control goes by: the drop and the agreement that the gate allows, on its clips.

It quantizes, ranks the quantizers by what the answers gain without each, and puts layers back into floating
point, those that gain most first, until both are allowed. Every look at all clips is a whole measuring, so
its search is bounded.
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

RESTORED_AT_MOST = 16  # groups of layers put back
RANKED_ON = 16  # clips
_TIE_BREAKER = 1e-6  # points for a distance of 1 between logits: answers of a few clips are often as good
# Added to every answer of `validate`: NNCF divides by FP32's, which is 0 points where nothing may be lost.
_NEVER_ZERO = 100.0

Item = tuple[Feed, int]  # and the clip's number


class Control:
    """Validation clips, one feed each, and how many points each set of answers to them leaves.

    Of a stream, a feed is the clip's last frame with the state that FP32 has there. The gate measures the
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
        margin_pp: of labels, answers of FP32 and other answers: how many percentage points of WAR, UAR and
            agreement, whichever is nearest, are left of what may be lost; negative where too many were lost.
        """
        self.items = _Items(feeds)
        self._truth = truth
        self._fp32 = fp32
        self._margin_pp = margin_pp

    @property
    def max_drop(self) -> float:
        """By how much :meth:`validate` may fall: to where no points are left, tie-breakers aside."""
        answers = self._fp32.argmax(axis=1)
        return self._margin_pp(self._truth, answers, answers) + 1000 * _TIE_BREAKER

    @staticmethod
    def feed(item: Item) -> Feed:
        """What of an item goes into the graph."""
        return item[0]

    def validate(self, model: Any, items: Iterable[Item]) -> tuple[float, list[float]]:
        """Answer clips, as NNCF wants it of a validation function.

        Args:
            model: a compiled OpenVINO model, or an ONNX model.
            items: some of :attr:`items`.

        Returns:
            100 and the points left, and for each clip minus the distance of its logits from FP32's. NNCF
            can rank by logits itself, but only those of OpenVINO graphs, and then puts back first what gains
            least.
        """
        answer = _answering(model)
        numbers, logits = [], []
        for feed, number in items:
            numbers.append(number)
            logits.append(answer(feed)[0])
        wanted, found = self._fp32[numbers], np.stack(logits)  # (n, K)
        distances = np.sqrt(np.mean((wanted - found) ** 2, axis=1))
        margin = self._margin_pp(self._truth[numbers], wanted.argmax(axis=1), found.argmax(axis=1))
        points = _NEVER_ZERO + margin - _TIE_BREAKER * float(distances.mean())
        return points, (-distances).tolist()


class _Items:
    """Feeds with their numbers, to be gone through again and again."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds

    def __len__(self) -> int:
        return len(self._feeds)

    def __iter__(self) -> Iterator[Item]:
        for number, feed in enumerate(self._feeds):
            yield feed, number


def _answering(model: Any) -> Callable[[Feed], Logits]:
    """How a model is asked: feed to logits (1, K)."""
    if not hasattr(model, "SerializeToString"):
        # Compiled by NNCF: where INT8 sums overflow (engines.exact_int8), it ranks by what is cut off.
        return lambda feed: np.array(model(feed)[0], dtype=np.float32)
    from s2d_edge.calibrate.graphs.onnx_session import cpu_session

    session = cpu_session(model)
    output = session.get_outputs()[0].name

    def answer(feed: Feed) -> NDArray[np.float32]:
        return np.asarray(session.run([output], feed)[0], dtype=np.float32)

    return answer


def restored_layers(graph: Path) -> tuple[str, ...]:
    """Names of the linears and convolutions of an INT8 graph that are in floating point."""
    from s2d_edge.calibrate.graphs.int8_macs import layers_of

    return tuple(layer.name for layer in layers_of(graph) if not layer.int8)
