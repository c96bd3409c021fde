"""Forward, backward and optimizer step of a model, alone or together with other processes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from lightning_fabric.plugins import MixedPrecision, Precision
from torch import Tensor, nn

from s2d_edge.model.s2d import S2D
from s2d_edge.train.loop.optimizer import make_optimizer
from s2d_edge.train.plan.settings import StageSettings
from s2d_edge.train.processes import Processes


class ModuleLearner:
    """Lightning Fabric around a module and its optimizer."""

    def __init__(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        processes: Processes,
        *,
        clip_norm: float,
        amp: bool,
    ) -> None:
        """Set up ``module``, whose ``requires_grad`` says what trains.

        Args:
            optimizer: every group has an ``lr_share``, as those of :func:`make_optimizer`.
            clip_norm: largest norm of the gradient; 0 leaves it as it is.
            amp: mixed precision: bfloat16 where the device computes in it; else float16 on CUDA, and none on
                a CPU.
        """
        self._clip_norm = clip_norm
        self._trainable = [p for p in module.parameters() if p.requires_grad]
        self._precision = _choose_precision(processes.device, amp)
        self._fabric = processes.fabric(self._precision)
        self._module = self._fabric.setup_module(module)
        self._optimizer = optimizer
        self._stepping = cast(torch.optim.Optimizer, self._fabric.setup_optimizers(optimizer))

    @property
    def precision(self) -> str:
        """Precision of the forward pass, as Fabric names it."""
        return str(self._precision.precision)

    @property
    def lr(self) -> float:
        """The largest learning rate of the last step."""
        return float(max(group["lr"] for group in self._optimizer.param_groups))

    def piece(self, *, last: bool) -> AbstractContextManager[None]:
        """Enter around forward and backward of one piece of a batch; the last one all-reduces gradients."""
        context: AbstractContextManager[None] = self._fabric.no_backward_sync(self._module, enabled=not last)
        return context

    def autocast(self) -> AbstractContextManager[None]:
        """Enter to compute in the precision of the forward pass outside of the model."""
        context: AbstractContextManager[None] = self._fabric.autocast()
        return context

    def call(self, *inputs: Tensor) -> Any:
        """Call the module in the precision of the forward pass."""
        return self._module(*inputs)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of ``loss``; they are averaged over the processes."""
        self._fabric.backward(loss)

    def step(self, lr: float) -> None:
        """Update the weights by the gradients summed since the last step, and clear these."""
        for group in self._optimizer.param_groups:
            group["lr"] = lr * group["lr_share"]
        self._precision.unscale_gradients(self._optimizer)
        if self._clip_norm:
            nn.utils.clip_grad_norm_(self._trainable, self._clip_norm)
        self._stepping.step()
        self._optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """State of the optimizer and of the loss scaler, which is empty unless in float16."""
        return self._optimizer.state_dict(), self._precision.state_dict()

    def load_state_dict(self, optimizer: dict[str, Any], scaler: dict[str, Any]) -> None:
        """Restore both states."""
        self._optimizer.load_state_dict(optimizer)
        self._precision.load_state_dict(scaler)


class Learner(ModuleLearner):
    """Lightning Fabric around an S2D model and its optimizer."""

    def __init__(self, model: S2D, settings: StageSettings, processes: Processes, *, amp: bool) -> None:
        """Set up ``model``, whose ``requires_grad`` says what trains.

        Args:
            amp: as :class:`ModuleLearner` takes it.
        """
        model.prompt_norms[1:][-1:].requires_grad_(False)  # never used: DDP would wait for its gradients
        optimizer = make_optimizer(model, settings)
        super().__init__(_WithFeatures(model), optimizer, processes, clip_norm=settings.clip_norm, amp=amp)

    def forward(
        self, clip: Tensor, maps: Tensor | None, numbers: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute features and logits.

        Args:
            clip: (B, T, H, W, 3) RGB in 0-255.
            maps: (B·T, C, h, w) landmark maps of it, or None.
            numbers: (B, T) where its frames lie on the model's grid; None where they are a period apart.

        Returns:
            (B, D) features and (B, K) logits, float32.
        """
        features, logits = self._module(clip, maps, numbers)
        return features, logits


class _WithFeatures(nn.Module):
    """Features and logits from one forward pass, as DDP needs it to all-reduce the gradients of both."""

    def __init__(self, model: S2D) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor, maps: Tensor | None, numbers: Tensor | None) -> tuple[Tensor, Tensor]:
        features = self.model.features(clip, maps, numbers)
        return features, self.model.classify(features)


class _Mixed(MixedPrecision):
    """Mixed precision that leaves the input pictures in float32.

    Fabric would round them to bfloat16, whose steps are 1 near 255.
    """

    def convert_input(self, data: Any) -> Any:
        return data

    def unscale_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        # Fabric's own refuses fused optimizers, although the scaler supports them.
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)


def multiplies_bfloat16() -> bool:
    """True if this CPU has bfloat16 instructions; without them FP32 is faster."""
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # missing in older PyTorch
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _choose_precision(device: torch.device, amp: bool) -> Precision:
    if not amp or (device.type == "cpu" and not multiplies_bfloat16()):
        return Precision()
    if device.type == "cpu":
        return _Mixed("bf16-mixed", "cpu")
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return _Mixed("bf16-mixed", "cuda")
    return _Mixed("16-mixed", "cuda", torch.amp.GradScaler("cuda"))
