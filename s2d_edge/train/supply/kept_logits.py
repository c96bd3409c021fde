"""Logits of one teacher on disk, each under the hash of what it was computed from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2d_edge.core.console import Console
from s2d_edge.core.errors import CheckpointError
from s2d_edge.core.files import whole_file
from s2d_edge.model.checkpoint import read_tensors, write_tensors

KEY_BYTES = 16


class KeptLogits:
    """A table of (K,) float16 logits; a damaged file is reported, and its logits are computed again."""

    def __init__(self, path: Path, classes: int, console: Console) -> None:
        """Read the table at ``path``, which need not exist.

        Args:
            classes: K.
            console: warned of a damaged file.
        """
        self._path = path
        self._rows: dict[bytes, NDArray[np.float16]] = {}
        self._unsaved = False
        if not path.is_file():
            return
        try:
            keys, logits = _read(path, classes)
        except CheckpointError as error:
            console.warn(f"{error}; the teacher's logits are computed again")
            return
        self._rows = {key.tobytes(): row for key, row in zip(keys, logits, strict=True)}

    def lacks(self, key: bytes) -> bool:
        """True where no logits are kept under ``key``."""
        return key not in self._rows

    def add(self, keys: Sequence[bytes], logits: Tensor) -> None:
        """Keep (n, K) logits under ``keys``; :meth:`save` writes them."""
        rows = logits.half().cpu().numpy()
        self._rows |= dict(zip(keys, rows, strict=True))
        self._unsaved = True

    def logits(self, keys: Sequence[bytes]) -> Tensor:
        """(n, K) float16 logits of ``keys``, all of which are kept."""
        return torch.from_numpy(np.stack([self._rows[key] for key in keys]))

    def save(self) -> None:
        """Write the table, whole or not at all, if anything was added since."""
        if not self._unsaved:
            return
        keys = torch.from_numpy(np.frombuffer(b"".join(self._rows), dtype=np.uint8).copy())
        logits = torch.from_numpy(np.stack(list(self._rows.values())))
        keys = keys.view(-1, KEY_BYTES)
        with whole_file(self._path) as scratch:
            write_tensors({"keys": keys, "logits": logits, "sha256": _digest(keys, logits)}, scratch)
        self._unsaved = False


def _read(path: Path, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
    """(n, 16) keys and (n, K) logits.

    Raises:
        CheckpointError: the file is not what was written, or its logits are not of K classes.
    """
    tensors = read_tensors(path)
    if set(tensors) != {"keys", "logits", "sha256"}:
        raise CheckpointError(f"{path} holds {', '.join(sorted(tensors))} instead of a teacher's logits")
    keys, logits = tensors["keys"], tensors["logits"]
    if not torch.equal(tensors["sha256"], _digest(keys, logits)):
        raise CheckpointError(f"{path} is damaged: its content differs from its SHA-256")
    if keys.shape != (len(logits), KEY_BYTES) or logits.shape != (len(logits), classes):
        raise CheckpointError(
            f"{path} holds {tuple(keys.shape)} keys and {tuple(logits.shape)} logits, not n of {KEY_BYTES} "
            f"bytes and n of {classes} classes"
        )
    return keys.numpy(), logits.numpy()


def _digest(keys: Tensor, logits: Tensor) -> Tensor:
    """(32,) uint8 SHA-256 of the table."""
    digest = hashlib.sha256(keys.numpy().tobytes() + logits.numpy().tobytes()).digest()
    return torch.from_numpy(np.frombuffer(digest, dtype=np.uint8).copy())
