"""Synthetic clips of a bundle's self-test, which every machine draws byte for byte the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GENERATOR = 1  # version of the drawing below; logits of other clips cannot be compared

_CYCLE_BITS = 16  # phases are whole numbers, of which this many bits are one cycle of a wave
_CYCLE = 1 << _CYCLE_BITS
_TABLE_BITS = 10
_SCALE_BITS = 12
_SINES = np.sin(2 * np.pi * np.arange(1 << _TABLE_BITS) / (1 << _TABLE_BITS))
_TABLE = np.rint(_SINES * (1 << _SCALE_BITS)).astype(np.int32)
# Cycles that may fit into a picture: from shades to edges of a patch's size.
_FREQUENCIES = (1, 1, 2, 4, 8, 16)
_FASTEST_FRAMES = 6  # that a wave takes for a cycle


def moving_patterns(count: int, frames: int, size: int, seed: int) -> NDArray[np.uint8]:
    """Draw clips of coloured waves that move, each clip of its own brightness, contrast and speed.

    A transformer's logits are nearly equal for any noise; smooth shapes that move reach its layers as
    pictures do. All arithmetic is on whole numbers and the bits come straight from PCG64, whose stream is
    fixed, so the clips depend on neither the processor nor the version of NumPy.

    Returns:
        (count, frames, size, size, 3) uint8 RGB.
    """
    bits = np.random.PCG64(seed)
    clips = np.empty((count, frames, size, size, 3), dtype=np.uint8)
    for clip in clips:
        _draw(bits, clip)
    return clips


def _draw(bits: np.random.PCG64, clip: NDArray[np.uint8]) -> None:
    """Fill one clip, (frames, size, size, 3)."""
    frames, size = clip.shape[:2]
    place = np.arange(size)
    contrast = 8 + int(_below(bits, 33, 1)[0])
    total = np.zeros(clip.shape, dtype=np.int32)
    total += (48 + _below(bits, 160, 3)).astype(np.int32) << _SCALE_BITS
    for most in _FREQUENCIES:
        across, down = _below(bits, 2 * most * _CYCLE, 2) - most * _CYCLE
        drift = _below(bits, 2 * _CYCLE // _FASTEST_FRAMES, 1) - _CYCLE // _FASTEST_FRAMES
        there = (down * place[:, None] + across * place) // size % _CYCLE  # (size, size)
        then = np.arange(frames)[:, None] * drift % _CYCLE + _below(bits, _CYCLE, 3)  # (frames, 3)
        phase = there.astype(np.int32)[:, :, None] + then.astype(np.int32)[:, None, None, :]
        total += contrast * _TABLE[(phase & (_CYCLE - 1)) >> (_CYCLE_BITS - _TABLE_BITS)]
    clip[:] = np.clip(total >> _SCALE_BITS, 0, 255)


def _below(bits: np.random.PCG64, limit: int, count: int) -> NDArray[np.int64]:
    """Draw (count,) whole numbers from 0 to ``limit`` - 1."""
    return (bits.random_raw(count) % np.uint64(limit)).astype(np.int64)
