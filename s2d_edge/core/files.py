"""Read JSON, and write files and folders so that nothing half-written can be taken for whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s2d_edge.core.errors import S2DEdgeError


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_json(path: Path, error: type[S2DEdgeError], remedy: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Args:
        error: the class to raise when the file cannot be read.
        remedy: advice for the user, the end of the message.

    Raises:
        S2DEdgeError: of the class ``error``: not readable, not UTF-8, not JSON, or not an object.
    """
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise error(f"{path} is not readable JSON (nested too deeply); {remedy}") from None
    except (OSError, ValueError) as reason:  # ValueError: not UTF-8, not JSON, or a number of too many digits
        raise error(f"{path} is not readable JSON ({reason}); {remedy}") from None
    if not isinstance(payload, dict):
        raise error(f"{path} holds a JSON {type(payload).__name__}; wanted an object: {remedy}")
    return payload


def fresh_path(base: Path) -> Path:
    """The first of ``base``, ``base-2``, ``base-3``, … that does not exist yet."""
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def choose_output(out: Path | None, default: Path, *, overwrite: bool = False) -> Path:
    """The path to write to: ``out`` if given (refused when taken), else a fresh path beside ``default``.

    Raises:
        S2DEdgeError: ``out`` exists and ``overwrite`` is not set.
    """
    if out is None:
        return fresh_path(default)
    if out.exists() and not overwrite and (not out.is_dir() or any(out.iterdir())):
        raise S2DEdgeError(f"{out} exists already; choose another --out, or remove it first")
    return out


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a scratch folder that becomes ``path`` only if the block ends without an error.

    An existing ``path`` is replaced at the very end, so a failed second run leaves the first intact.
    """
    _make_folder(path.parent)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield scratch
        scratch.chmod(0o755)
        if path.exists():
            retired = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            path.replace(retired / "old")
            scratch.replace(path)
            shutil.rmtree(retired)
        else:
            scratch.replace(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a scratch path beside ``path`` that takes its name only if the block ends without an error.

    The scratch path keeps the suffix of ``path``, since writers choose their format by it.
    """
    _make_folder(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        scratch.chmod(0o644)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _make_folder(path: Path) -> None:
    """Make a folder unless it is there.

    Raises:
        NotADirectoryError: something else has its name.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # which says the opposite of what is wrong
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None


def clear_scratch(path: Path) -> None:
    """Remove what a killed :func:`whole_file` of ``path`` left behind. Nothing else may be writing it."""
    for scratch in path.parent.glob(f".{path.stem}.*{path.suffix}"):
        scratch.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole_file(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def cache_folder() -> Path:
    """The folder of files that can be made again: ``$S2D_EDGE_CACHE`` or ``s2d-edge`` in the user's cache."""
    if own := os.environ.get("S2D_EDGE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "s2d-edge"
