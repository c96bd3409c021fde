"""A clip's content, to tell whether two clips are the same one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from s2d_edge.core.files import sha256_of
from s2d_edge.media.video import frame_paths


def clip_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the hashes of a frame folder's pictures, in natural name order."""
    if not path.is_dir():
        return sha256_of(path)
    digest = hashlib.sha256()
    for frame in frame_paths(path):
        digest.update(sha256_of(frame).encode())
    return digest.hexdigest()
