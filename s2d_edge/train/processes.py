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

# One process may prepare clips for hours while the others wait; torchrun ends them all if it fails.
_TIMEOUT = timedelta(days=7)


class Processes:
    """This process and the others of its training. With one process, every collective is a no-op.

    Attributes:
        rank: this process's number; rank 0 writes files and prints.
        count: processes on all machines.
        machines: machines they run on.
        device: the device this process computes on.
    """

    def __init__(self, device: str = "auto") -> None:
        """Join the process group.

        Args:
            device: ``cpu``, ``cuda``, or ``auto`` for CUDA where there is a GPU.

        Raises:
            DeviceError: an unknown or missing device, or more processes on this machine than it has GPUs.
        """
        kind = _choose_kind(device)
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        by_torchrun = TorchElasticEnvironment.detect()
        self.count = int(os.environ["WORLD_SIZE"]) if by_torchrun else 1
        self.rank = int(os.environ["RANK"]) if by_torchrun else 0
        self._local_count = int(os.environ["LOCAL_WORLD_SIZE"]) if by_torchrun else 1
        self._local_rank = int(os.environ["LOCAL_RANK"]) if by_torchrun else 0
        self.machines = self.count // self._local_count
        if self.machines * self._local_count != self.count:
            raise DeviceError(
                f"torchrun started {self.count} processes, {self._local_count} of them on this machine; "
                "start as many on every machine"
            )
        if kind == "cuda" and self._local_count > torch.cuda.device_count():
            raise DeviceError(
                f"torchrun started {self._local_count} processes on a machine with "
                f"{torch.cuda.device_count()} GPUs; start one per GPU with --nproc-per-node"
            )
        self.device = torch.device("cuda", self._local_rank) if kind == "cuda" else torch.device("cpu")
        self._fabric = self.fabric(Precision())

    @property
    def first(self) -> bool:
        """True in rank 0, the process that writes files and prints."""
        return self.rank == 0

    def fabric(self, precision: Precision) -> Fabric:
        """Lightning Fabric over these processes, computing in ``precision``."""
        strategy: Strategy = SingleDeviceStrategy(self.device)
        if self.count > 1:
            strategy = DDPStrategy(
                process_group_backend="nccl" if self.device.type == "cuda" else "gloo",
                timeout=_TIMEOUT,
                gradient_as_bucket_view=True,
            )
            # Gradients of the class token: its first two axes have length 1, so their strides do not matter.
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        environment = TorchElasticEnvironment() if self.count > 1 else LightningEnvironment()
        fabric = Fabric(
            accelerator=self.device.type,
            devices=self._local_count,
            num_nodes=self.machines,
            strategy=strategy,
            plugins=[environment, precision],
        )
        fabric.launch()
        return fabric

    def share(self, count: int) -> NDArray[np.int64]:
        """Indices of this process's part of ``count`` items; the parts are disjoint and in rank order."""
        mine: NDArray[np.int64] = np.array_split(np.arange(count), self.count)[self.rank]
        return mine

    def all_reduce(self, x: Tensor) -> Tensor:
        """Sum ``x`` over all processes; every one gets the same sum. May overwrite ``x``."""
        if self.count > 1:
            distributed.all_reduce(x)
        return x

    def barrier(self) -> None:
        """Wait until all processes have come here."""
        self.all_reduce(torch.zeros(1, device=self.device))

    def broadcast(self, value: T, source: int = 0) -> T:
        """Return the ``value`` of rank ``source`` in every process."""
        received: T = self._fabric.broadcast(value, src=source)
        return received

    def on_rank_0(self, work: Callable[[], T]) -> T:
        """Call ``work`` in rank 0 only, and broadcast its result.

        Raises:
            TrainingError: in the other processes, where ``work`` failed in rank 0.
        """
        done: list[T] = []
        with self._all_or_none():
            if self.first:
                done.append(work())
        return self.broadcast(done)[0]

    def one_per_machine_first(self, work: Callable[[], T]) -> T:
        """Call ``work`` in one process of each machine, then in the others, which find its cached files.

        Raises:
            TrainingError: where ``work`` failed in another process.
        """
        leads = self._local_rank == 0
        done: list[T] = []
        with self._all_or_none():
            if leads:
                done.append(work())
        return done[0] if leads else work()

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """Raise in every process if the block failed in any of them."""
        failed = 1
        try:
            yield
            failed = 0
        finally:
            failures = int(self.all_reduce(torch.tensor([failed], device=self.device)))
        if failures:
            raise TrainingError("another process of this training failed; its message says why")

    def console(self, console: Console) -> Console:
        """``console`` in rank 0, a silent one in the others."""
        return console if self.first else _Mute()

    def __str__(self) -> str:
        kind = self.device.type.upper()
        if self.count == 1:
            return kind
        where = f" on {self.machines} machines" if self.machines > 1 else ""
        return f"{self.count} × {kind}{where}"


class _Mute(Console):
    """Prints nothing, not even warnings."""

    def __init__(self) -> None:
        super().__init__(quiet=True)

    def warn(self, text: str) -> None:
        """Drop the warning; rank 0 prints it."""


def _choose_kind(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise DeviceError(f"--device {device}: training runs on cpu or cuda; give one of them, or auto")
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("--device cuda: PyTorch finds no CUDA device; use --device cpu")
    return device
