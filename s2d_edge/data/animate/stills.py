"""The photographs of a dataset, and the clips to be made of each."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from s2d_edge.core.errors import DataError
from s2d_edge.data.animate.settings import AnimateSettings
from s2d_edge.data.reading.dataset import Dataset
from s2d_edge.data.reading.readers import ANIMATED_COLUMNS, LABELS_FILE, read_labels
from s2d_edge.media.crop import Picture
from s2d_edge.media.kinds import media_kind
from s2d_edge.media.pictures import read_image

_LONGEST_STEM = 200  # bytes of a still's name in its clips' names


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """One labelled photograph.

    Attributes:
        path: the file.
        name: its path within the dataset; every random choice about it depends on this alone.
        label: its class.
        subject: the person in it, or empty.
        split: its split of the dataset.
        further: cells of the dataset's other columns.
    """

    path: Path
    name: str
    label: str
    subject: str
    split: str
    further: dict[str, str] = field(default_factory=dict)

    def picture(self, size: int | None) -> Picture:
        """Read the picture: (H, W, 3) uint8 RGB, scaled to ``size`` pixels along its longer side unless None.

        Raises:
            MediaError: it cannot be decoded; names the file.
        """
        picture = read_image(self.path)
        height, width = picture.shape[:2]
        if size is None or max(height, width) == size:
            return picture
        scale = size / max(height, width)
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        scaled: Picture = cv2.resize(picture, target, interpolation=method)
        return scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One clip to be made of a still.

    Attributes:
        name: name of its folder.
        number: index of the still's plan that it follows.
        label: its class.
        backwards: True when the planned frames run in reverse.
    """

    name: str
    number: int
    label: str
    backwards: bool


def takes(still: Still, settings: AnimateSettings) -> list[Take]:
    """The clips of one still."""
    code = _code(still.name)
    stem = f"{os.fsdecode(os.fsencode(still.path.stem)[:_LONGEST_STEM])}-{code[:8]}"
    planned: list[Take] = []
    for number in range(settings.clips):
        name = f"{stem}-{number}"
        if not settings.direction:
            planned.append(Take(name=name, number=number, label=still.label, backwards=False))
        elif still.label == settings.neutral:  # has no direction; as many run either way
            odd = bool((int(code, 16) + number) % 2)
            planned.append(Take(name=name, number=number, label=still.label, backwards=odd))
        else:
            planned += [
                Take(
                    name=f"{name}-{way}",
                    number=number,
                    label=f"{still.label}-{way}",
                    backwards=way == "offset",
                )
                for way in ("onset", "offset")
            ]
    return planned


def list_stills(dataset: Dataset, data: str) -> list[Still]:
    """All photographs of a dataset, in its order.

    Args:
        data: the ``--data`` that the dataset was opened with; a CSV file's further columns are kept.

    Raises:
        DataError: an entry is not a picture.
    """
    for sample in dataset.samples:
        if media_kind(sample.path) != "picture":
            raise DataError(
                f"{sample.path} is no picture, and only stills can be animated; "
                f"dataset {dataset.name!r} may hold clips already"
            )
    further = _further_columns(dataset, data)
    return [
        Still(
            path=sample.path,
            name=_name(sample.path, dataset.root),
            label=dataset.labels[sample.label],
            subject=sample.subject or "",
            split=sample.split,
            further=further.get(sample.path, {}),
        )
        for sample in dataset.samples
    ]


def chosen(stills: Sequence[Still], settings: AnimateSettings) -> list[Still]:
    """The stills to be animated, in their order.

    A limit chooses among a split's stills at random, and keeps as many classes of the split as it can.
    """
    wanted = [still for still in stills if settings.split in (None, still.split)]
    if settings.limit is None:
        return wanted
    kept: set[str] = set()
    for split in {still.split for still in wanted}:
        kept |= _some([still for still in wanted if still.split == split], settings.limit)
    return [still for still in wanted if still.name in kept]


def _some(stills: Sequence[Still], limit: int) -> set[str]:
    """The names of ``limit`` stills, chosen at random, or class by class where chance leaves one out."""
    classes = {still.label for still in stills}
    order = shuffled(stills)
    if {still.label for still in order[:limit]} != classes:
        before: Counter[str] = Counter()
        ranks = {}
        for still in order:
            ranks[still.name] = before[still.label]
            before[still.label] += 1
        order.sort(key=lambda still: ranks[still.name])  # stable: the first of every class, the second, …
    return {still.name for still in order[:limit]}


def shuffled(stills: Iterable[Still]) -> list[Still]:
    """The stills in a random order that depends on nothing but their names."""
    return sorted(stills, key=lambda still: _code(still.name))


def _code(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()


def _name(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def _further_columns(dataset: Dataset, data: str) -> dict[Path, dict[str, str]]:
    """Cells of a CSV file's further columns, by the path of their row."""
    file = Path(data) / LABELS_FILE if Path(data).is_dir() else Path(data)
    if not file.is_file():
        return {}
    columns, rows = read_labels(file)
    kept = [(name, place) for name, place in columns.further if name not in ANIMATED_COLUMNS]
    return {
        sample.path: {name: cells[place].strip() for name, place in kept}
        for sample, (_, cells) in zip(dataset.samples, rows, strict=True)
    }
