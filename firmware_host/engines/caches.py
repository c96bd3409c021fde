"""Where compiled graphs are kept between runs: a folder for everything the compiled form depends on."""

from __future__ import annotations

import hashlib
from pathlib import Path

from s2d_edge.bundle import EngineIdentity, Manifest
from s2d_edge.files import cache_folder


def compiled_folder(runtime: str, manifest: Manifest, identity: EngineIdentity) -> Path | None:
    """The folder for this graph on this device, driver and runtime, made if need be.

    Another graph, driver, runtime or device has another folder, so nothing stale is ever loaded; the folders
    may be deleted at any time.

    Args:
        runtime: a folder name.

    Returns:
        None where the graph is not hashed yet or nothing can be written: then nothing is kept.
    """
    hashes = [
        f"{name} {digest}" for name, digest in sorted(manifest.files.items()) if name.startswith("model.")
    ]
    if not hashes or not all(manifest.files.values()):
        return None
    key = hashlib.sha256("\n".join([*hashes, identity.model_dump_json()]).encode()).hexdigest()[:32]
    folder = cache_folder() / runtime / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder
