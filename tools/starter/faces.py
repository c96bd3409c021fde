"""Put the face pack of the installed MediaPipe into the starter's bundles, or take it out.

    python -m tools.starter.faces remove BUNDLE   # before a bundle is committed: make.sh does it
    python -m tools.starter.faces add STARTER     # in a copy of the checkout: `make dist` does it

The repository holds no weights of others, and a wheel's bundles need no MediaPipe.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from s2d_edge.contracts.bundle import (
    FORMAT_VERSION,
    MANIFEST,
    Bundle,
    find_bundles,
    open_bundle,
    seal,
)
from s2d_edge.core.errors import DataError, exit_with_a_sentence
from s2d_edge.core.files import sha256_of
from s2d_edge.export.faces.pack import FOLDER, write_pack
from s2d_edge.firmware_host.bundles import STARTER_CARD

_HASHES = re.compile(r"^(?:[0-9a-f]{64}  \S+\n)+", re.MULTILINE)


def add_packs(folder: Path) -> list[Bundle]:
    """Write a face pack into every bundle of a starter's folder that has none, and renew the card's hashes.

    Raises:
        MissingExtraError: MediaPipe is not installed.
        DataError: the card lists no hashes, or not in one place.
    """
    bundles = [_with_pack(open_bundle(path)) for path in sorted(path for path, _ in find_bundles(folder))]
    card = folder / STARTER_CARD
    listed = "".join(f"{line}\n" for line in hash_lines(bundles))
    renewed, found = _HASHES.subn(listed, card.read_text(encoding="utf-8"))
    if found != 1:
        raise DataError(f"{card} lists hashes in {found} places; wanted is one: write it again with card.py")
    card.write_text(renewed, encoding="utf-8")
    return bundles


def _with_pack(bundle: Bundle) -> Bundle:
    if bundle.manifest.face is None:
        update = {"face": write_pack(bundle.path), "format_version": FORMAT_VERSION}
        seal(bundle.path, bundle.manifest.model_copy(update=update))
    return open_bundle(bundle.path)


def remove_pack(path: Path) -> None:
    """Take the face pack out of a bundle, if it has one."""
    bundle = open_bundle(path)
    if bundle.manifest.face is not None:
        shutil.rmtree(path / FOLDER)
        seal(path, bundle.manifest.model_copy(update={"face": None}))


def hash_lines(bundles: Iterable[Bundle]) -> list[str]:
    """Return a line for every file of the starter's bundles, as ``sha256sum`` writes them."""
    lines = []
    for bundle in bundles:
        files = bundle.manifest.files | {MANIFEST: sha256_of(bundle.path / MANIFEST)}
        lines += [f"{sha256}  {bundle.path.name}/{name}" for name, sha256 in sorted(files.items())]
    return lines


def main() -> None:
    """Add packs to a starter's bundles, or remove that of one bundle."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("add", "remove"))
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    with exit_with_a_sentence():
        if options.what == "add":
            add_packs(options.folder)
        else:
            remove_pack(options.folder)


if __name__ == "__main__":
    main()
