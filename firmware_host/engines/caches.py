"""Folders in which compiled graphs are kept between runs, one for each graph, device, driver and runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from s2d_edge.contracts.bundle import EngineIdentity, Manifest
from s2d_edge.core.caches import cache_folder
from s2d_edge.core.files import sha256_of, write_text

MODEL, FACES = "model.", "face/"  # what the files of the model, and of the face search, begin with


def compiled_folder(
    runtime: str, manifest: Manifest, identity: EngineIdentity, of: str = MODEL
) -> Path | None:
    """Return the folder for this graph on this device, driver and runtime; make it if it is missing.

    Another graph, driver, runtime or device has another folder, so nothing stale is loaded. The folders may
    be deleted at any time.

    Args:
        runtime: a folder name.
        of: the files that are compiled, :data:`MODEL` or :data:`FACES`.

    Returns:
        None if the graph is not hashed yet or the folder cannot be made: then nothing is kept.
    """
    if not _hashes(manifest, of) or not all(manifest.files.values()):
        return None
    folder = cache_folder() / runtime / compiled_key(manifest, identity, of)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


@contextmanager
def intact(folder: Path, pattern: str) -> Iterator[None]:
    """Remove kept files that differ from what was written, before a block in which a runtime loads them.

    The runtimes notice a file that was cut short, but not one whose weights were altered.

    Args:
        folder: as :func:`compiled_folder` returns it.
        pattern: names of the files that the runtime keeps. Each gets its SHA-256 in a file beside it.
    """
    for file in folder.glob(pattern):
        digest = _digest_beside(file)
        try:
            same = digest.read_text("ascii") == sha256_of(file)
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            file.unlink(missing_ok=True)
            digest.unlink(missing_ok=True)
    yield
    with suppress(OSError):  # a full disk: the file is removed the next time
        for file in folder.glob(pattern):
            if not (digest := _digest_beside(file)).exists():
                write_text(digest, sha256_of(file))


def _digest_beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


def compiled_key(manifest: Manifest, identity: EngineIdentity, of: str = MODEL) -> str:
    """Return a folder name of 32 hexadecimal digits for these graphs, device, driver and runtime."""
    key = "\n".join([*_hashes(manifest, of), identity.model_dump_json()])
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _hashes(manifest: Manifest, of: str) -> list[str]:
    return [f"{name} {digest}" for name, digest in sorted(manifest.files.items()) if name.startswith(of)]
