"""PyTorch files of other people, read without running code in them."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import torch

# Harmless things beside weights: options of the training, its best score, where its files were. Pickled names
# of NumPy differ by its version; paths of Windows are read anywhere.
_SCALAR = cast(Callable[..., Any], np.float64(0).__reduce__()[0])
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *{type(np.dtype(code)) for code in "?bBhHiIlLqQefdg"},
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *(
        (kind, f"{module}.{name}")
        for module in ("pathlib", "pathlib._local")
        for name, kind in (
            *((name, pathlib.PurePosixPath) for name in ("Path", "PosixPath", "PurePosixPath", "PurePath")),
            *((name, pathlib.PureWindowsPath) for name in ("WindowsPath", "PureWindowsPath")),
        )
    ),
]


def harmless_beside_weights() -> AbstractContextManager[None]:
    """Enter to let ``torch.load(weights_only=True)`` accept a ``Namespace``, NumPy scalars and paths."""
    allowed: AbstractContextManager[None] = torch.serialization.safe_globals(_HARMLESS)
    return allowed


def why_not_loaded(error: Exception) -> str:
    """Why ``torch.load`` refused a file, in a few words; PyTorch would advise to run the code in it."""
    if isinstance(error, pickle.UnpicklingError):
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        return f"it holds {found[1]}, which is no weight" if found else "it is not made of weights"
    if isinstance(error, LookupError | struct.error):  # whose own text is a number of the unpickler's
        return "its bytes are something else"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
