"""The rule that a graph's inputs and outputs are those that its manifest promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from s2d_edge.contracts.bundle import Manifest, TensorSpec
from s2d_edge.lint.rules import Place, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input or output of a graph.

    Attributes:
        names: all that it answers to, its own first.
        dtype: as NumPy calls it.
        shape: sizes, None for one that is not fixed; None for an unknown rank.
    """

    names: tuple[str, ...]
    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        sizes = "of unknown shape" if self.shape is None else str(list(self.shape)).replace("None", "?")
        return f"{self.dtype} {sizes}"


Side = Literal["inputs", "outputs"]
Ports = Callable[[Any, Side], Sequence[Port]]  # of a graph


def interface_rule(manifest: Manifest, ports: Ports) -> Rule[Any]:
    """Return the rule for the graphs of one bundle; ``ports`` lists a graph's inputs or outputs."""

    def find(graph: Any) -> Iterator[Place]:
        sides: dict[Side, tuple[TensorSpec, ...]] = {"inputs": manifest.inputs, "outputs": manifest.outputs}
        for side, specs in sides.items():
            left, one = list(ports(graph, side)), side.removesuffix("s")
            for spec in specs:
                port = next((each for each in left if spec.name in each.names), None)
                if port is None:
                    yield spec.name, f"no {one} of this name"
                    continue
                left.remove(port)
                wanted = Port(names=(spec.name,), dtype=spec.dtype, shape=spec.shape)
                if str(port) != str(wanted):
                    yield spec.name, f"the {one} is {port}, in the manifest {wanted}"
            for port in left:
                name = port.names[0] if port.names else "a tensor without a name"
                yield name, f"an {one} that the manifest does not list"

    return Rule(
        name="interface",
        wants="inputs and outputs are those of the manifest",
        why="The host binds them by name, and gives and takes what the manifest says.",
        source="https://onnxruntime.ai/docs/api/python/api_summary.html",
        find=find,
    )
