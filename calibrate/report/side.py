"""One of the two graphs, scored: accuracy, size and latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat, PositiveInt

from s2d_edge.calibrate.measure.pair import Measurement
from s2d_edge.contracts.bundle import Bundle
from s2d_edge.contracts.evaluation import score
from s2d_edge.contracts.probability_scores import score_probabilities
from s2d_edge.core import metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two graphs.

    Attributes:
        bundle: its name.
        engine: runtime and device in use.
        score: as :func:`s2d_edge.contracts.evaluation.score` returns it, and
            :func:`s2d_edge.contracts.probability_scores.score_probabilities`, which older reports lack.
        size_bytes: graph and weights on disk.
        latency_p50_ms, latency_p95_ms: of one prediction.
        graph_sha256: see :attr:`s2d_edge.contracts.bundle.Bundle.graph_sha256`; None in reports before
            version 4.
    """

    bundle: str
    engine: str
    score: dict[str, Any]
    size_bytes: PositiveInt
    latency_p50_ms: PositiveFloat
    latency_p95_ms: PositiveFloat
    graph_sha256: str | None = None


def score_side(
    bundle: Bundle,
    measured: Measurement,
    truth: metrics.Labels,
    votes: NDArray[np.float32] | None,
    seed: int,
) -> Side:
    """Score one graph's predictions.

    Args:
        bundle: the graph's.
        truth: (n,) class indices.
        votes: as :func:`s2d_edge.contracts.probability_scores.score_probabilities` takes them.
        seed: of the bootstraps.
    """
    predictions = measured.predictions
    return Side(
        bundle=bundle.manifest.name,
        engine=measured.engine,
        score=score(truth, predictions.predicted, bundle.manifest.labels, seed=seed)
        | score_probabilities(truth, predictions.probabilities, votes),
        size_bytes=bundle.size_bytes,
        graph_sha256=bundle.graph_sha256,
        latency_p50_ms=measured.percentile_ms(50),
        latency_p95_ms=measured.percentile_ms(95),
    )


def recall_drops(fp32: Side, int8: Side) -> dict[str, float | None]:
    """Return FP32 minus INT8 recall of each class, in percentage points; None without support."""
    one, other = fp32.score["per_class"], int8.score["per_class"]
    return {
        label: 100 * (one[label]["recall"] - other[label]["recall"]) if one[label]["support"] else None
        for label in one
    }
