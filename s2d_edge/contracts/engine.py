"""The one protocol by which a graph or a PyTorch model predicts clips."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from s2d_edge.contracts.clip import ClipSpec

Clip = NDArray[np.uint8]  # (1, T, H, W, 3) RGB
Frame = NDArray[np.uint8]  # (1, H, W, 3) RGB
Numbers = NDArray[np.float64]  # (T,), where each frame of a clip lies on the model's grid, periods
Logits = NDArray[np.float32]  # (1, K)


class Engine(Protocol):
    """Turns one clip into logits on one device.

    Attributes:
        spec: shape and pace of the clip that it takes.
        labels: class names in logit order.
        description: runtime and device actually in use, for people to read.
    """

    @property
    def spec(self) -> ClipSpec: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def description(self) -> str: ...

    def infer(self, clip: Clip, numbers: Numbers | None = None) -> Logits:
        """Compute the logits of one clip.

        Args:
            clip: (1, T, H, W, 3) uint8 RGB.
            numbers: (T,) where each frame lies on the model's grid, periods of its rate, from which a stream
                and a causal model know its age; None for frames that are a period apart. Other models know
                no ages.

        Returns:
            (1, K) float32 logits.

        Raises:
            DeviceError: wrong shape or dtype, or logits that are not finite.
        """
        ...

    def close(self) -> None:
        """Free the device."""
        ...

    def __enter__(self) -> Engine: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Softmax over the last axis.

    Args:
        logits: (…, K) float32.

    Returns:
        (…, K) float32, each row summing to 1.
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
    return probabilities
