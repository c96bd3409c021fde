"""Open a bundle: read its manifest, verify its hashes, and find the bundles under a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import ValidationError

from s2d_edge.contracts.bundle.manifest import MANIFEST, READABLE_VERSIONS, Manifest
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, ConfigError
from s2d_edge.core.files import folders_with, sha256_of
from s2d_edge.core.json_files import read_json

BUNDLES = Path("bundles")  # under the working directory, unless --out says otherwise

# What desktops, network disks, git and model hubs leave in a folder. Nothing of it is ever read.
_NOT_OURS = (
    *(".DS_Store", "._*", ".nfs*", "Thumbs.db", "desktop.ini", ".git", ".gitattributes", ".gitignore"),
    *(".cache", ".huggingface", "README.md", "LICENSE*"),
)


class Bundle:
    """A verified bundle on disk."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @property
    def graph_path(self) -> Path:
        """The graph file, for the runtime to load."""
        return self.path / self.manifest.graph

    @property
    def size_bytes(self) -> int:
        """Size of the graph and its weights on disk, bytes; reports left out."""
        return sum((self.path / name).stat().st_size for name in self._graph_files)

    @property
    def graph_sha256(self) -> str:
        """Hash of the graph and its weights, whatever the bundle is called; figures are tied to it."""
        lines = "\n".join(f"{name}\t{self.manifest.files[name]}" for name in sorted(self._graph_files))
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def _graph_files(self) -> list[str]:
        return [name for name in self.manifest.files if name.startswith("model.")]


def read_manifest(path: Path) -> Manifest:
    """Read and validate ``manifest.json`` in the bundle folder ``path``; other files are not looked at.

    Raises:
        BundleError: no such folder or manifest, an unknown version, a missing, unknown or wrong field.
    """
    file = path / MANIFEST
    if not file.is_file():
        what = "is not a folder" if not path.is_dir() else f"holds no {MANIFEST}"
        raise BundleError(f"{path} {what}; a bundle is a folder written by 's2d-edge export'")
    data = read_json(file, BundleError, "export the bundle again")
    version = data.get("format_version")
    if version not in READABLE_VERSIONS:
        raise BundleError(
            f"{file} has format_version {version!r}; this s2d-edge reads "
            f"{' and '.join(map(str, READABLE_VERSIONS))}: "
            "export the bundle again, or use the s2d-edge that wrote it"
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise BundleError(f"{file}: field {field!r}: {first['msg']}; export the bundle again") from None
    except ConfigError as error:  # of a record that is not pydantic's own, such as the crop
        raise BundleError(f"{file}: {error}; export the bundle again") from None


def open_bundle(path: Path) -> Bundle:
    """Read a bundle and verify every file's hash.

    A file may be a link to another place, as in a hub's cache: its hash says whether it is the right one.

    Raises:
        BundleError: what :func:`read_manifest` raises; a listed file missing or altered; a file not listed.
    """
    manifest = read_manifest(path)
    _check_files(path, manifest)
    for name, expected in manifest.files.items():
        try:
            found = sha256_of(path / name)
        except OSError as error:
            raise BundleError(
                f"{path / name} cannot be read ({error.strerror}); copy or export the bundle again"
            ) from None
        if found != expected:
            raise BundleError(
                f"{path}: {name} differs from what the manifest recorded (sha256); it was altered or "
                "damaged: copy or export the bundle again"
            )
    return Bundle(path, manifest)


def _check_files(path: Path, manifest: Manifest) -> None:
    """Compare the files in a bundle's folder with those that its manifest lists; hashes are not checked.

    Raises:
        BundleError: a listed file is missing, or a file is not listed, so that nothing vouches for it.
    """
    for name in manifest.files:
        try:
            there = (path / name).is_file()
        except (OSError, ValueError) as error:  # a name that no file can have, a folder that cannot be read
            raise BundleError(f"{path}: {name!r} cannot be read ({error}); export the bundle again") from None
        if not there:
            raise BundleError(f"{path}: {name!r} is missing; copy or export the bundle again")
    for name in _files_in(path):
        if name not in manifest.files and name != MANIFEST:
            raise BundleError(
                f"{path}: {name!r} is not listed in {MANIFEST}, so nothing says whose it is; "
                "move it out of the bundle, or export the bundle again"
            )


def _files_in(path: Path) -> Iterator[str]:
    """The names of everything under ``path`` that is no folder, in order, ``/`` between their parts."""
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not _is_foreign(name))
        links = [name for name in folders if Path(folder, name).is_symlink()]  # which are not walked into
        for name in sorted([*files, *links]):
            if not _is_foreign(name):
                yield Path(folder, name).relative_to(path).as_posix()


def _is_foreign(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _NOT_OURS)


def find_bundles(root: Path, console: Console | None = None) -> list[tuple[Path, Manifest]]:
    """Find the bundles directly under ``root`` whose manifest can be read and whose files are there.

    Hashes are not checked. Hidden folders, such as the remains of a killed export, are no bundles.

    Args:
        console: names every bundle that is skipped, with the reason; None names none.

    Returns:
        The folder and manifest of each, newest first.
    """
    found: list[tuple[float, Path, Manifest]] = []
    for path in folders_with(root, MANIFEST):
        try:
            manifest = read_manifest(path)
            _check_files(path, manifest)
            found.append(((path / MANIFEST).stat().st_mtime, path, manifest))
        except (BundleError, OSError) as error:
            if console is not None:
                warn_of_skipped(error, console)
    found.sort(key=lambda entry: entry[0], reverse=True)
    return [(path, manifest) for _, path, manifest in found]


def warn_of_skipped(error: Exception, console: Console) -> None:
    """Name a bundle that a choice by default leaves out; ``error`` says which, and why."""
    console.warn(f"skipped a bundle: {error}")
