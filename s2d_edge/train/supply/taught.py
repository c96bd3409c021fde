"""Views of clips that do not change during a training, with what teachers predict for them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from s2d_edge.data.preparing.prepare import PreparedClips


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taught:
    """V views of each of n clips, and the logits of M teachers for them.

    Attributes:
        seeds: (n, V) int64, the seed of each view's draws.
        logits: (n, V, M, K) float16, in the order of the student's labels.
    """

    seeds: NDArray[np.int64]
    logits: Tensor

    @property
    def views(self) -> int:
        """V."""
        return self.seeds.shape[1]

    def of(self, clips: NDArray[np.int64], views: NDArray[np.int64]) -> Tensor:
        """Logits of one view of each of B clips: (B, M, K) float32."""
        return self.logits[clips, views].float()


def clip_keys(clips: PreparedClips) -> list[bytes]:
    """Hash of each clip's pictures and windows, wherever its file lies and whatever it is called."""
    keys = []
    for first, after in zip(clips.first_window[:-1], clips.first_window[1:], strict=True):
        windows = clips.windows[first:after]  # (V, T)
        start = windows.min()
        digest = hashlib.sha256(np.ascontiguousarray(clips.frames[start : windows.max() + 1]).data)
        digest.update(f"{windows.shape}".encode() + (windows - start).tobytes())
        if clips.numbers is not None:
            digest.update(clips.numbers[first:after].tobytes())
        keys.append(digest.digest())
    return keys


def view_seeds(keys: list[bytes], views: int, seed: int) -> NDArray[np.int64]:
    """(n, V) int64, not negative: the seed of each view, by the clip's content alone."""
    each = [
        [
            int.from_bytes(hashlib.sha256(key + f"{seed}/{view}".encode()).digest()[:7], "big")
            for view in range(views)
        ]
        for key in keys
    ]
    return np.array(each, dtype=np.int64).reshape(len(keys), views)
