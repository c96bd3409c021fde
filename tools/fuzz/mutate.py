"""Damage files as bad copies, bad disks and bad writers do, reproducibly by a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Half of the damage lies in so many bytes at either end, where headers and tables are.
_END_BYTES = 600
_MOST_CHANGES = 6

Damage = Callable[[bytearray, int, np.random.Generator], None]


def mutated(seeds: Sequence[bytes], number: int, seed: int = 0) -> bytes:
    """Return the damaged file of this number: one of ``seeds`` with up to six changes.

    Args:
        seeds: sound files, none empty.
        number: equal numbers of equal seeds give equal files.
        seed: of the whole series.
    """
    generator = np.random.default_rng([seed, number])
    data = bytearray(seeds[number % len(seeds)])
    for _ in range(int(generator.integers(1, _MOST_CHANGES + 1))):
        if not data:
            break
        damage = _DAMAGES[int(generator.integers(len(_DAMAGES)))]
        damage(data, _place(len(data), generator), generator)
    if generator.random() < 0.05:  # one file's begin, another one's end
        other = seeds[int(generator.integers(len(seeds)))]
        cut = int(generator.integers(len(other)))
        data[int(generator.integers(len(data) + 1)) :] = other[cut:]
    return bytes(data)


def _place(length: int, generator: np.random.Generator) -> int:
    near = int(generator.integers(min(_END_BYTES, length)))
    choice = generator.random()
    if choice < 0.25:
        return near
    return length - 1 - near if choice < 0.5 else int(generator.integers(length))


def _flip(data: bytearray, at: int, generator: np.random.Generator) -> None:
    data[at] ^= 1 << int(generator.integers(8))


def _replace(data: bytearray, at: int, generator: np.random.Generator) -> None:
    data[at] = int(generator.integers(256))


def _number(data: bytearray, at: int, generator: np.random.Generator) -> None:
    size = int(generator.choice([2, 4, 8]))
    order = "little" if generator.random() < 0.5 else "big"
    value = _NUMBERS[int(generator.integers(len(_NUMBERS)))] & ((1 << 8 * size) - 1)
    data[at : at + size] = value.to_bytes(size, order)  # type: ignore[arg-type]


def _zero(data: bytearray, at: int, generator: np.random.Generator) -> None:
    length = min(int(generator.integers(1, 65)), len(data) - at)
    data[at : at + length] = bytes(length)


def _remove(data: bytearray, at: int, generator: np.random.Generator) -> None:
    del data[at : at + int(generator.integers(1, 65))]


def _insert(data: bytearray, at: int, generator: np.random.Generator) -> None:
    data[at:at] = generator.bytes(int(generator.integers(1, 17)))


def _repeat(data: bytearray, at: int, generator: np.random.Generator) -> None:
    data[at:at] = data[at : at + int(generator.integers(1, 129))]


def _cut(data: bytearray, at: int, generator: np.random.Generator) -> None:
    del data[at:]


_DAMAGES: tuple[Damage, ...] = (
    _flip,
    _flip,
    _replace,
    _replace,
    _number,
    _number,
    _zero,
    _remove,
    _insert,
    _repeat,
    _cut,
)
