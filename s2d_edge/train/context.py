"""The surroundings of one training command: its processes, its console, and the request to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType

import torch
from torch import Tensor

from s2d_edge.core.caches import cache_folder
from s2d_edge.core.console import Console
from s2d_edge.core.disk import is_full, refused
from s2d_edge.core.errors import TrainingError
from s2d_edge.core.signals import on_signals, tell
from s2d_edge.train.processes import Processes


class InterruptGuard:
    """While entered, a signal to end interrupts at once; in :meth:`saving` the first only requests a stop.

    Signals reach the main thread only: entered in another one it never sets ``requested``.
    """

    def __init__(self) -> None:
        self.requested = False
        self._saving = False
        self._cleanup = ExitStack()

    def _handle(self, number: signal.Signals) -> None:
        if self.requested or not self._saving:
            raise KeyboardInterrupt
        self.requested = True
        tell(f"{number.name}: stopping after this step, and saving (again: at once)")

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Mark a block that looks at ``requested`` often, saves, and stops."""
        self._saving = True
        try:
            yield
        finally:
            self._saving = False

    def __enter__(self) -> InterruptGuard:
        self._cleanup.enter_context(on_signals(self._handle))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()


@dataclass(slots=True)
class Kept:
    """Words for what an interruption would leave; each part of a training that saves something changes it."""

    text: str = (
        "nothing of this training is saved yet; repeat the command, which reuses all that it has cached"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """Shared by every part of one training command; made once, by :func:`open_context`.

    Attributes:
        processes: those that train together.
        console: reports progress; silent in all processes but rank 0.
        interrupt: knows whether this process was requested to stop.
        kept: what an interruption would leave now.
    """

    processes: Processes
    console: Console
    interrupt: InterruptGuard
    kept: Kept = field(default_factory=Kept)

    @property
    def device(self) -> torch.device:
        """The device that this process computes on."""
        return self.processes.device

    def request(self) -> Tensor:
        """() float32 on the device: 1 if this process was requested to stop, else 0; to be all-reduced."""
        return torch.tensor(float(self.interrupt.requested), device=self.device)

    def stop_requested(self) -> bool:
        """All-reduce the requests to stop; call it equally often in every process.

        Returns:
            True if any process was requested to stop.
        """
        return bool(self.processes.all_reduce(self.request()) > 0)


@contextmanager
def open_context(device: str, console: Console) -> Iterator[Context]:
    """Join the processes that torchrun started, if any, and catch requests to stop.

    Args:
        device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is a GPU.

    Raises:
        DeviceError: what :class:`Processes` raises.
        TrainingError: the disk of the cache is full.
        KeyboardInterrupt: interrupted, after a warning that says what is kept.
    """
    processes = Processes(device)
    with InterruptGuard() as interrupt, _full_cache_told():
        context = Context(processes=processes, console=processes.console(console), interrupt=interrupt)
        try:
            yield context
        except KeyboardInterrupt:
            context.console.warn(f"interrupted: {context.kept.text}")
            raise


@contextmanager
def _full_cache_told() -> Iterator[None]:
    """Say of a full disk, while clips are prepared, how to resume the training."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise TrainingError(
            f"{refused(error, cache_folder())}, or set S2D_EDGE_CACHE to a folder on another disk, "
            "then repeat the command"
        ) from None
