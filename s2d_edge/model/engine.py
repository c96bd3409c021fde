"""A PyTorch model behind the engine protocol: the reference that every graph is compared with."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import nn

from s2d_edge.contracts.clip import ClipSpec
from s2d_edge.contracts.engine import Clip, Logits, Numbers
from s2d_edge.contracts.runs import RunInfo
from s2d_edge.core.errors import DeviceError
from s2d_edge.model.checkpoint import load_run


class TorchEngine:
    """Eager FP32 PyTorch, evaluation and inference mode."""

    def __init__(self, model: nn.Module, info: RunInfo, device: str = "cpu") -> None:
        """Put ``model``, an S2D or a module with its inputs and outputs, on ``device`` (``cpu`` or ``cuda``).

        Raises:
            DeviceError: CUDA requested and missing.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError("--device cuda: PyTorch finds no CUDA device; use --device cpu")
        self._device = torch.device(device)
        self._model = model.eval().to(self._device)
        self._info = info

    @property
    def spec(self) -> ClipSpec:
        return self._info.spec

    @property
    def labels(self) -> tuple[str, ...]:
        return self._info.labels

    @property
    def description(self) -> str:
        return f"PyTorch {torch.__version__} eager FP32 on {self._device.type.upper()}"

    def infer(self, clip: Clip, numbers: Numbers | None = None) -> Logits:
        spec = self._info.spec
        wanted = (spec.frames, spec.size, spec.size, 3)
        if clip.shape[1:] != wanted or clip.dtype != np.uint8:
            raise DeviceError(
                f"the model takes uint8 clips (1, {wanted}), not {clip.dtype} {clip.shape}; "
                "prepare them with the run's spec"
            )
        with torch.inference_mode():
            frames = torch.from_numpy(clip).to(self._device)
            if numbers is None:
                logits = self._model(frames)
            else:
                logits = self._model(frames, numbers=torch.from_numpy(numbers)[None].to(self._device))
        if not torch.isfinite(logits).all():
            raise DeviceError(
                "the model's logits are not finite; its weights are unusable: train or import it again"
            )
        result: Logits = logits.float().cpu().numpy()
        return result

    def close(self) -> None:
        """Nothing to free."""

    def __enter__(self) -> TorchEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_run(path: Path, device: str = "auto", *, threads: int | None = None) -> TorchEngine:
    """Load a run folder onto ``auto`` (CUDA if present), ``cpu`` or ``cuda``.

    Args:
        threads: limit of CPU threads, for this whole process.

    Raises:
        DeviceError: an unknown or missing device.
        CheckpointError: what :func:`s2d_edge.model.checkpoint.load_run` raises.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise DeviceError(
            f"a run folder runs on cpu or cuda, not {device}; export a bundle for other devices"
        )
    if threads is not None:
        torch.set_num_threads(threads)
    model, info = load_run(path)
    return TorchEngine(model, info, device)
