"""The starter model: small bundles that lie in the package, for use straight after installation.

``starter`` means the one that fits this machine best, ``starter-TARGET`` the one made for a target, wherever
a bundle is expected (:mod:`s2d_edge.firmware_host.bundles`). CARD.md says what the model is and is not
for; ``tools/starter/make.sh`` makes it.
"""

from __future__ import annotations

from pathlib import Path

NAME = "starter"
FOLDER = Path(__file__).parent  # holds a bundle per target, in folders named after the targets
CARD = "CARD.md"


def as_path(text: str) -> Path:
    """A path as typed: ``starter`` and ``starter-jetson`` are names, and ``./starter`` is a folder here.

    pathlib drops a leading ``./``, so such a folder is returned absolute, which no name is.
    """
    path = Path(text)
    return path.absolute() if is_name(path) and text != path.name else path


def is_name(path: Path) -> bool:
    """Whether ``path`` reads like the name of a shipped bundle: ``starter``, or ``starter-`` and more."""
    return str(path) == NAME or (str(path) == path.name and path.name.startswith(f"{NAME}-"))


def name_of(bundle: Path) -> str:
    """What to call a bundle's folder: its own name, or the one that a shipped bundle is asked for by."""
    return f"{NAME}-{bundle.name}" if bundle.parent == FOLDER else bundle.name
