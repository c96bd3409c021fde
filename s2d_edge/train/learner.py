"""A model that learns: forward, backward and step, on this process's device and together with the others'."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from lightning_fabric.plugins import MixedPrecision, Precision
from torch import Tensor, nn

from s2d_edge.model.s2d import S2D
from s2d_edge.train.optimizer import make_optimizer
from s2d_edge.train.processes import Processes
from s2d_edge.train.settings import StageSettings


class Learner:
    """Lightning Fabric around an S2D model and its optimizer."""

    def __init__(self, model: S2D, settings: StageSettings, processes: Processes, *, amp: bool) -> None:
        """Set up ``model``, whose ``requires_grad`` says what trains.

        Args:
            amp: mixed precision: bfloat16 where the device computes in it; else float16 on CUDA, and none on
                a CPU.
        """
        model.prompt_norms[1:][-1:].requires_grad_(False)  # never used: others would wait for its gradients
        self._clip_norm = settings.clip_norm
        self._trainable = [p for p in model.parameters() if p.requires_grad]
        self._precision = _choose_precision(processes.device, amp)
        self._fabric = processes.fabric(self._precision)
        self._module = self._fabric.setup_module(_Answers(model))
        self._optimizer = make_optimizer(model, settings)
        self._stepping = cast(torch.optim.Optimizer, self._fabric.setup_optimizers(self._optimizer))

    @property
    def precision(self) -> str:
        """What it computes in, as Fabric names it."""
        return str(self._precision.precision)

    @property
    def lr(self) -> float:
        """The largest learning rate of the last step."""
        return float(max(group["lr"] for group in self._optimizer.param_groups))

    def piece(self, *, last: bool) -> AbstractContextManager[None]:
        """Around forward and backward of one piece of a batch; gradients meet after the last one."""
        context: AbstractContextManager[None] = self._fabric.no_backward_sync(self._module, enabled=not last)
        return context

    def autocast(self) -> AbstractContextManager[None]:
        """The precision of the forward pass, for what runs beside the model."""
        context: AbstractContextManager[None] = self._fabric.autocast()
        return context

    def answer(self, clip: Tensor, maps: Tensor | None) -> tuple[Tensor, Tensor]:
        """Forward.

        Args:
            clip: (B, T, H, W, 3) RGB in 0-255.
            maps: (B·T, C, h, w) landmark maps of it, or None.

        Returns:
            (B, D) features and (B, K) logits, float32.
        """
        features, logits = self._module(clip, maps)
        return features, logits

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of ``loss``; they become the mean over the processes."""
        self._fabric.backward(loss)

    def step(self, lr: float) -> None:
        """Change the weights by the gradients gathered since the last step, and forget these."""
        for group in self._optimizer.param_groups:
            group["lr"] = lr * group["lr_share"]
        self._precision.unscale_gradients(self._optimizer)
        if self._clip_norm:
            nn.utils.clip_grad_norm_(self._trainable, self._clip_norm)
        self._stepping.step()
        self._optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """State of the optimizer and, empty unless in float16, of the loss scaler."""
        return self._optimizer.state_dict(), self._precision.state_dict()

    def load_state_dict(self, optimizer: dict[str, Any], scaler: dict[str, Any]) -> None:
        """Go on from such a state."""
        self._optimizer.load_state_dict(optimizer)
        self._precision.load_state_dict(scaler)


class _Answers(nn.Module):
    """Features and logits from one forward pass, the only way that gradients of several processes meet."""

    def __init__(self, model: S2D) -> None:
        super().__init__()
        self.model = model

    def forward(self, clip: Tensor, maps: Tensor | None) -> tuple[Tensor, Tensor]:
        features = self.model.features(clip, maps)
        return features, self.model.classify(features)


class _Mixed(MixedPrecision):
    """Mixed precision in which pictures arrive as they are.

    Fabric would round them to bfloat16 while they still span 0-255, where it has steps of 1.
    """

    def convert_input(self, data: Any) -> Any:
        return data

    def unscale_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        # Fabric's own refuses fused optimizers, though theirs is told what was unscaled.
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for it; without them it would be slower than FP32."""
    able: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # an older PyTorch does not tell
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _choose_precision(device: torch.device, amp: bool) -> Precision:
    if not amp or (device.type == "cpu" and not multiplies_bfloat16()):
        return Precision()
    if device.type == "cpu":
        return _Mixed("bf16-mixed", "cpu")
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return _Mixed("bf16-mixed", "cuda")
    return _Mixed("16-mixed", "cuda", torch.amp.GradScaler("cuda"))
