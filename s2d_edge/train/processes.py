"""The processes of one training: one alone, or those that torchrun started, joined by Lightning Fabric."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import Precision
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.single_device import SingleDeviceStrategy
from lightning_fabric.strategies.strategy import Strategy
from numpy.typing import NDArray
from torch import Tensor, distributed

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DeviceError, TrainingError

T = TypeVar("T")

# One process may prepare clips for hours while the others wait; torchrun ends them all should it fail.
_PATIENCE = timedelta(days=7)


class Processes:
    """This process among those of its training. Alone, everything here is a mere formality.

    Attributes:
        rank: its number; 0 is the one that writes and speaks.
        count: how many there are, on all machines.
        machines: how many machines they run on.
        device: what this one computes on.
    """

    def __init__(self, device: str = "auto") -> None:
        """Join the others.

        Args:
            device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is some.

        Raises:
            DeviceError: another device, a missing one, or more processes on this machine than it has GPUs.
        """
        kind = _choose_kind(device)
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        started = TorchElasticEnvironment.detect()  # by torchrun
        self.count = int(os.environ["WORLD_SIZE"]) if started else 1
        self.rank = int(os.environ["RANK"]) if started else 0
        self._here = int(os.environ["LOCAL_WORLD_SIZE"]) if started else 1
        self._number_here = int(os.environ["LOCAL_RANK"]) if started else 0
        self.machines = self.count // self._here
        if self.machines * self._here != self.count:
            raise DeviceError(
                f"torchrun started {self.count} processes, {self._here} of them on this machine; start as "
                "many on every machine"
            )
        if kind == "cuda" and self._here > torch.cuda.device_count():
            raise DeviceError(
                f"torchrun started {self._here} processes on a machine with {torch.cuda.device_count()} "
                "GPUs; start one per GPU with --nproc-per-node"
            )
        self.device = torch.device("cuda", self._number_here) if kind == "cuda" else torch.device("cpu")
        self._fabric = self.fabric(Precision())

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def fabric(self, precision: Precision) -> Fabric:
        """Fabric over these processes, computing in ``precision``."""
        strategy: Strategy = SingleDeviceStrategy(self.device)
        if self.count > 1:
            strategy = DDPStrategy(
                process_group_backend="nccl" if self.device.type == "cuda" else "gloo",
                timeout=_PATIENCE,
                gradient_as_bucket_view=True,
            )
            # Those of the class token, whose first two axes have length 1, so that their strides say nothing.
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        environment = TorchElasticEnvironment() if self.count > 1 else LightningEnvironment()
        fabric = Fabric(
            accelerator=self.device.type,
            devices=self._here,
            num_nodes=self.machines,
            strategy=strategy,
            plugins=[environment, precision],
        )
        fabric.launch()
        return fabric

    def share(self, count: int) -> NDArray[np.int64]:
        """Which of ``count`` things are this process's: in the order of the ranks, each in one share only."""
        mine: NDArray[np.int64] = np.array_split(np.arange(count), self.count)[self.rank]
        return mine

    def sum(self, x: Tensor) -> Tensor:
        """The sum of every process's ``x``, the same in each of them; may overwrite ``x``."""
        if self.count > 1:
            distributed.all_reduce(x)
        return x

    def wait(self) -> None:
        """Go on when all have come here."""
        self.sum(torch.zeros(1, device=self.device))

    def tell(self, thing: T, teller: int = 0) -> T:
        """What the process ``teller`` gives here, in all of them."""
        told: T = self._fabric.broadcast(thing, src=teller)
        return told

    def decide(self, choose: Callable[[], T]) -> T:
        """Have the first process choose, for all.

        Raises:
            TrainingError: in the others, where choosing failed in the first one.
        """
        choice: list[T] = []
        with self._all_or_none():
            if self.first:
                choice.append(choose())
        return self.tell(choice)[0]

    def here_first(self, work: Callable[[], T]) -> T:
        """Have one process of each machine do ``work``, then the others, who find what it left in the cache.

        Raises:
            TrainingError: where ``work`` failed in another process.
        """
        leads = self._number_here == 0
        done: list[T] = []
        with self._all_or_none():
            if leads:
                done.append(work())
        return done[0] if leads else work()

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """End all processes whose block went well if it failed in another one."""
        failed = 1
        try:
            yield
            failed = 0
        finally:
            failures = int(self.sum(torch.tensor([failed], device=self.device)))
        if failures:
            raise TrainingError("another process of this training failed; its message says why")

    def console(self, console: Console) -> Console:
        """``console`` for the first process, one that keeps quiet for the others."""
        return console if self.first else _Mute()

    def __str__(self) -> str:
        kind = self.device.type.upper()
        if self.count == 1:
            return kind
        where = f" on {self.machines} machines" if self.machines > 1 else ""
        return f"{self.count} × {kind}{where}"


class _Mute(Console):
    """Says nothing, not even warnings."""

    def __init__(self) -> None:
        super().__init__(quiet=True)

    def warn(self, text: str) -> None:
        """Leave it to the first process."""


def _choose_kind(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise DeviceError(f"--device {device}: training runs on cpu or cuda, or auto to choose")
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("--device cuda: PyTorch finds no CUDA device; use --device cpu")
    return device
