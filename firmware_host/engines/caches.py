"""Where compiled graphs are kept between runs: a folder for everything the compiled form depends on."""

from __future__ import annotations

import hashlib
from pathlib import Path

from s2d_edge.contracts.bundle import EngineIdentity, Manifest
from s2d_edge.core.files import cache_folder


def compiled_folder(runtime: str, manifest: Manifest, identity: EngineIdentity) -> Path | None:
    """The folder for this graph on this device, driver and runtime, made if need be.

    Another graph, driver, runtime or device has another folder, so nothing stale is ever loaded; the folders
    may be deleted at any time.

    Args:
        runtime: a folder name.

    Returns:
        None where the graph is not hashed yet or nothing can be written: then nothing is kept.
    """
    if not _hashes(manifest) or not all(manifest.files.values()):
        return None
    folder = cache_folder() / runtime / compiled_key(manifest, identity)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


def compiled_key(manifest: Manifest, identity: EngineIdentity) -> str:
    """A folder's name for this graph on this device, driver and runtime; 32 hexadecimal digits."""
    key = "\n".join([*_hashes(manifest), identity.model_dump_json()])
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _hashes(manifest: Manifest) -> list[str]:
    return [
        f"{name} {digest}" for name, digest in sorted(manifest.files.items()) if name.startswith("model.")
    ]
