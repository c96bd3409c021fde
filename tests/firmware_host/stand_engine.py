"""An engine with the identity and the logits that a test gives it."""

from __future__ import annotations

from collections.abc import Callable

from s2d_edge.contracts.bundle import Bundle, EngineIdentity
from s2d_edge.contracts.engine import Clip, Logits
from s2d_edge.firmware_host.engines.base import GraphEngine, NodeTime
from s2d_edge.firmware_host.engines.stream import RingMemory
from s2d_edge.firmware_host.selftest.agreement import Arithmetic


class StandIn(GraphEngine):
    """Predicts the clips of a bundle with ``predict``."""

    def __init__(self, bundle: Bundle, identity: EngineIdentity, predict: Callable[[Clip], Logits]) -> None:
        super().__init__(bundle)
        self._identity = identity
        self._predict = predict

    @property
    def identity(self) -> EngineIdentity:
        return self._identity

    @property
    def arithmetic(self) -> Arithmetic:
        return "int8 and more" if self.manifest.precision == "int8" else "16-bit"

    def time_nodes(self, predict: Callable[[], object], rounds: int) -> list[NodeTime]:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing to free."""

    def _run(self, clip: Clip) -> Logits:
        return self._predict(clip)

    def _new_rings(self) -> RingMemory:
        raise NotImplementedError

    def _device_text(self) -> str:
        return str(self._identity)
