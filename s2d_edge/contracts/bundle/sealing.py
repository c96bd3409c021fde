"""Write a bundle: fill a scratch folder, hash its files into the manifest, and record the tools."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from s2d_edge.contracts.bundle.manifest import MANIFEST, FaceRecord, Manifest
from s2d_edge.contracts.bundle.opening import Bundle
from s2d_edge.core import claims
from s2d_edge.core.errors import BundleError
from s2d_edge.core.files import sha256_of, whole_folder
from s2d_edge.core.scratch import sweep


@contextmanager
def writing_bundle(path: Path) -> Iterator[Path]:
    """Yield a scratch folder to fill; it becomes ``path`` if the block ends well, else it is removed.

    Finish the block with :func:`seal`. What a killed command left behind of this bundle is removed first.

    Raises:
        BundleError: the block ended without a manifest.
    """
    sweep(path.parent, re.escape(path.stem), claimed=claims.is_ours(path))
    with whole_folder(path) as scratch:
        yield scratch
        if not (scratch / MANIFEST).is_file():
            raise BundleError(f"{path} was left without a manifest; call seal() before the block ends")


def seal(folder: Path, manifest: Manifest) -> Manifest:
    """Hash every file in ``folder`` into the manifest and write it there.

    Returns:
        The manifest as written.
    """
    hashes = {
        file.relative_to(folder).as_posix(): sha256_of(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != MANIFEST
    }
    sealed = Manifest.model_validate(manifest.model_dump() | {"files": hashes})
    (folder / MANIFEST).write_text(sealed.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return sealed


def copy_face_pack(source: Bundle, folder: Path) -> FaceRecord | None:
    """Copy a bundle's face pack into another bundle's folder, before that is sealed.

    Returns:
        The record for its manifest; None where ``source`` has no pack.
    """
    face = source.manifest.face
    if face is not None:
        for file in face.files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.path / file, folder / file)
    return face


def tool_versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of s2d-edge and of those ``packages`` that are installed, by name."""
    versions = {"python": platform.python_version()}
    for package in ("s2d-edge", *packages):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
