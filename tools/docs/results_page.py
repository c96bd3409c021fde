"""The keys of a line that ``run --json`` writes, read from the record behind it."""

from __future__ import annotations

import json

from s2d_edge.firmware_host.io.results import LiveResult
from tools.docs.docstrings import attributes

_EXAMPLE = LiveResult(
    t_s=0.0,
    frame=0,
    face=(0, 0, 1, 1),
    track=1,
    label="neutral",
    probabilities={"neutral": 1.0},
    logits=(0.0,),
    latency_ms=1.0,
    infer_ms=1.0,
    dropped=0,
    dropped_clips=0,
    warming=True,
)


def result_table() -> str:
    """A row for each key, in the order in which a line has them."""
    described = attributes(LiveResult)
    rows = ["| key | |", "| --- | --- |"]
    rows += [f"| `{key}` | {described[key]} |" for key in json.loads(_EXAMPLE.to_json())]
    return "\n".join(rows)
