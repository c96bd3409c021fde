"""The published datasets, read from their authors' files: ``NAME[/FOLD]:ROOT``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from s2d_edge.contracts.labels import AFFECTNET7, AFFECTNET8
from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.listing import Listing
from s2d_edge.data.reading.published import clips
from s2d_edge.data.reading.published.acted import list_cremad, list_ravdess
from s2d_edge.data.reading.published.affectnet import list_affectnet
from s2d_edge.data.reading.published.ferplus import list_ferplus
from s2d_edge.data.reading.published.rafdb import list_rafdb
from s2d_edge.data.reading.tables import is_there

Read = Callable[[Path, int, Console], Listing]

SPELLING = "NAME[/FOLD]:ROOT"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The reader of one published dataset.

    Attributes:
        folds: number of divisions into training and test; 0 for just one, without a number.
        read: lists the dataset from its root and the fold.
        in_papers: the official S2D code has a protocol for it, or its stills come with a test split.
    """

    read: Read
    folds: int = 0
    in_papers: bool = True


_SOURCES = {
    "dfew": _Source(read=lambda root, fold, _: clips.list_dfew(root, fold), folds=5),
    "ferv39k": _Source(read=lambda root, _fold, _console: clips.list_ferv39k(root)),
    "mafw": _Source(read=lambda root, fold, _: clips.list_mafw(root, fold), folds=5),
    "rafdb": _Source(read=lambda root, _fold, _console: list_rafdb(root)),
    "affectnet7": _Source(read=lambda root, _, console: list_affectnet(root, AFFECTNET7, console)),
    "affectnet8": _Source(read=lambda root, _, console: list_affectnet(root, AFFECTNET8, console)),
    "ferplus": _Source(read=lambda root, _, console: list_ferplus(root, console)),
    "cremad": _Source(read=lambda root, _fold, _console: list_cremad(root), in_papers=False),
    "ravdess": _Source(read=lambda root, _fold, _console: list_ravdess(root), in_papers=False),
}
NAMES = tuple(_SOURCES)
PAPER_NAMES = tuple(name for name, source in _SOURCES.items() if source.in_papers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published dataset as the user named it.

    Attributes:
        name: one of ``NAMES``.
        fold: from 1; 0 where the dataset has none.
        root: the folder that it lies in.
    """

    name: str
    fold: int
    root: Path

    def __str__(self) -> str:
        """Spell the dataset as ``--data`` takes it."""
        return f"{self.name}/{self.fold}:{self.root}" if self.fold else f"{self.name}:{self.root}"

    def listing(self, console: Console) -> Listing:
        """Read its annotations.

        Raises:
            DataError: there is no such folder, or an annotation file is missing or damaged.
        """
        if not is_there(self.root) or not self.root.is_dir():
            raise DataError(
                f"--data {self}: there is no folder {self.root}; name the one {self.name} lies in"
            )
        return _SOURCES[self.name].read(self.root, self.fold, console)


def parse(data: str) -> Published | None:
    """Parse ``NAME[/FOLD]:ROOT``.

    Returns:
        None where ``data`` is spelled otherwise, as a path is.

    Raises:
        DataError: an unknown name, or a fold where there is none or none where there must be one.
    """
    spelled = re.fullmatch(r"(\w+)(?:/(\w+))?:(.+)", data)
    if spelled is None or is_there(Path(data)):
        return None
    name, fold, root = spelled[1].lower(), spelled[2], Path(spelled[3])
    if name not in _SOURCES:
        raise DataError(
            f"--data {data}: there is no dataset {name!r}; name one of {', '.join(NAMES)}, as {SPELLING}"
        )
    folds = _SOURCES[name].folds
    if folds and fold not in {str(k + 1) for k in range(folds)}:
        raise DataError(
            f"--data {data}: {name} is divided in {folds} ways; name one of them, as in {name}/1:{root}"
        )
    if fold and not folds:
        raise DataError(f"--data {data}: {name} has no folds; write {name}:{root}")
    return Published(name=name, fold=int(fold or 0), root=root)
