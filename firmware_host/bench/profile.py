"""``benchmark --profile``: measure the time inside a graph by kind of node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from s2d_edge.firmware_host.bench.timing import full_stream, next_step, random_clip
from s2d_edge.firmware_host.engines.base import GraphEngine, NodeTime

# Kinds that are the network's own arithmetic, by the names OpenVINO and ONNX Runtime run them under. Products
# of two activations (attention) are not among them.
_LINEAR = (
    "FullyConnected",
    "Convolution",
    "GroupConvolution",
    "Conv",
    "FusedConv",
    "Gemm",
    "QLinearConv",
    "ConvInteger",
    "MatMulIntegerToFloat",  # of weights always: attention's products are not quantized
)
_LINEAR_MATMULS = ("MatMulInteger", "QLinearMatMul", "FusedMatMul", "MatMul")


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTime:
    """All nodes of one kind.

    Attributes:
        kind: as the runtime calls it.
        nodes: how many.
        ms: their time in one prediction, milliseconds.
        linear: linears and convolutions.
    """

    kind: str
    nodes: int
    ms: float
    linear: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A graph's time by kind of node, the largest first."""

    name: str
    engine: str
    kinds: tuple[KindTime, ...]

    @property
    def total_ms(self) -> float:
        """Milliseconds of all nodes; timing them costs, so it is more than a prediction takes."""
        return sum(kind.ms for kind in self.kinds)

    @property
    def linear_share(self) -> float:
        """Share of linears and convolutions in the time of all nodes."""
        return sum(kind.ms for kind in self.kinds if kind.linear) / max(self.total_ms, 1e-9)


def profile(engine: GraphEngine, rounds: int) -> Profile:
    """Time every node of an engine opened for profiling, on a random clip or on frames of a full stream."""
    clip = random_clip(engine.spec)
    session = full_stream(engine, clip)
    nodes = engine.time_nodes(
        lambda: engine.infer(clip) if session is None else next_step(session, clip), rounds
    )
    return Profile(name=engine.manifest.name, engine=engine.description, kinds=_by_kind(nodes))


def _by_kind(nodes: Sequence[NodeTime]) -> tuple[KindTime, ...]:
    kinds: dict[tuple[str, bool], list[float]] = {}
    for node in nodes:
        kinds.setdefault((node.kind, _is_linear(node)), []).append(node.ms)
    found = [
        KindTime(kind=kind, nodes=len(spans), ms=sum(spans), linear=linear)
        for (kind, linear), spans in kinds.items()
    ]
    return tuple(sorted(found, key=lambda kind: kind.ms, reverse=True))


def _is_linear(node: NodeTime) -> bool:
    return node.kind.startswith(_LINEAR) or (node.kind in _LINEAR_MATMULS and node.has_weights)


def as_table(found: Profile) -> Table:
    """Return a row for each kind, and the share of linears and convolutions."""
    share = f"{100 * found.linear_share:.0f} % of it in linears and convolutions"
    table = Table(
        title=f"{found.name}: {found.total_ms:.1f} ms a prediction, {share}",
        title_justify="left",
        caption=f"{found.engine}; timing every node makes the whole slower",
        caption_justify="left",
        min_width=72,
    )
    table.add_column("kind of node", overflow="fold")
    for column in ("nodes", "ms", "%"):
        table.add_column(column, justify="right")
    for kind in found.kinds:
        mark = " *" if kind.linear else ""
        table.add_row(
            kind.kind + mark, str(kind.nodes), f"{kind.ms:.2f}", f"{100 * kind.ms / found.total_ms:.1f}"
        )
    return table


def as_json(found: Profile) -> dict[str, Any]:
    """Return the figures of :func:`as_table` for JSON."""
    return {
        "name": found.name,
        "engine": found.engine,
        "total_ms": found.total_ms,
        "linear_share": found.linear_share,
        "kinds": [
            {"kind": kind.kind, "nodes": kind.nodes, "ms": kind.ms, "linear": kind.linear}
            for kind in found.kinds
        ],
    }
