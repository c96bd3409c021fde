"""Files of arrays, damaged or of another kind, are read or refused by name."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.tables import read_array, read_arrays


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes with up to three changes: another value, a hole, or some more."""
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(changed))
        end, put = rng.choice([(at + 1, rng.randbytes(1)), (at + rng.randrange(1, 50), b""), (at, b"\0" * 3)])
        changed[at:end] = put
    return bytes(changed)


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (lambda path: np.save(path, np.zeros(30)), lambda path: read_array(path, "make it again")),
        (
            lambda path: np.savez(path, a=np.zeros(9), b=np.ones(3)),
            lambda path: read_arrays(path, ("a", "b"), "make it again"),
        ),
        (
            lambda path: np.savez_compressed(path, a=np.zeros(9), b=np.ones(3)),
            lambda path: read_arrays(path, ("a", "b"), "make it again"),
        ),
    ],
)
def test_damage_is_refused_by_name(
    tmp_path: Path, write: Callable[[Path], None], read: Callable[[Path], object]
) -> None:
    path = tmp_path / "arrays.npz"
    with path.open("wb") as file:
        write(file)  # type: ignore[arg-type]
    whole, rng = path.read_bytes(), random.Random(0)  # noqa: S311 - no secrets
    read(path)
    refused = []
    for _ in range(600):
        path.write_bytes(damaged(whole, rng))
        try:
            read(path)
        except DataError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(path.name in said and "\n" not in said for said in refused)
