"""Open a bundle: read its manifest, verify its hashes, and find the bundles under a folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from s2d_edge.contracts.bundle.manifest import MANIFEST, READABLE_VERSIONS, Manifest
from s2d_edge.core.errors import BundleError, ConfigError
from s2d_edge.core.files import read_json, sha256_of

BUNDLES = Path("bundles")  # under the working directory, unless --out says otherwise


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
        return sum(
            (self.path / name).stat().st_size for name in self.manifest.files if name.startswith("model.")
        )


def read_manifest(path: Path) -> Manifest:
    """Read and validate ``manifest.json`` in the bundle folder ``path``; hashes are not checked.

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

    Raises:
        BundleError: what :func:`read_manifest` raises; a listed file missing or altered.
    """
    manifest = read_manifest(path)
    for name, expected in manifest.files.items():
        if sha256_of(_listed_file(path, name)) != expected:
            raise BundleError(
                f"{path}: {name} differs from what the manifest recorded (sha256); it was altered or "
                "damaged: copy or export the bundle again"
            )
    return Bundle(path, manifest)


def _listed_file(bundle: Path, name: str) -> Path:
    """The file that the manifest lists as ``name``, if it is there and inside the bundle."""
    file = bundle / name
    try:
        inside, there = bundle.resolve() in file.resolve().parents, file.is_file()
    except (OSError, ValueError) as error:  # a name that no file can have
        raise BundleError(
            f"{bundle}: the manifest lists {name!r}, which is no file name ({error}); export the bundle again"
        ) from None
    if not inside:
        raise BundleError(
            f"{bundle}: the manifest lists {name!r}, outside the bundle; export the bundle again"
        )
    if not there:
        raise BundleError(f"{bundle}: {name!r} is missing; copy or export the bundle again")
    return file


def find_bundles(root: Path) -> list[tuple[Path, Manifest]]:
    """Readable bundles directly under ``root``, newest first; other folders are skipped."""
    found: list[tuple[float, Path, Manifest]] = []
    for file in root.glob(f"*/{MANIFEST}"):
        if file.parent.name.startswith("."):
            continue
        try:
            found.append((file.stat().st_mtime, file.parent, read_manifest(file.parent)))
        except (BundleError, OSError):
            continue
    found.sort(key=lambda entry: entry[0], reverse=True)
    return [(path, manifest) for _, path, manifest in found]
