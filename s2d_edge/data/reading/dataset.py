"""One dataset: its class names in order, and its labelled clips before anything is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from s2d_edge.contracts.labels import LabelSet
from s2d_edge.core.errors import DataError
from s2d_edge.core.json_files import read_json
from s2d_edge.data.reading.split_names import VAL

# Sets drawn by this package describe themselves in these files, frame rate included.
AVATARS_FILE, ANIMATED_FILE = "avatars.json", "animated.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One labelled clip or picture.

    Attributes:
        path: a video file, an image file, or a folder of frames.
        label: class index in the dataset's label order.
        split: ``train``, ``val``, ``test`` or any other name.
        subject: the person in it, where known.
    """

    path: Path
    label: int
    split: str
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled clips of one source, and the order of its classes.

    Attributes:
        name: for reports, e.g. ``faces`` or ``avatars``.
        root: the folder that paths are relative to.
        labels: class names in index order.
        samples: all splits.
        published: the published dataset it is, if any.
        val_written: the name that ``val`` has in the annotations, such as ``dev``.
    """

    name: str
    root: Path
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    published: LabelSet | None = None
    val_written: str = VAL

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split, in the file's order; empty when there is no such split.

        The name that ``val`` has in the annotations finds it too.
        """
        wanted = VAL if name == self.val_written else name
        return tuple(sample for sample in self.samples if sample.split == wanted)

    def require_split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split.

        Raises:
            DataError: there are none; the message names the splits that exist.
        """
        samples = self.split(name)
        if not samples:
            have = ", ".join(f"{split} ({count})" for split, count in sorted(self.splits.items()))
            raise DataError(f"dataset {self.name!r} has no split {name!r}; choose one of: {have}")
        return samples

    @property
    def splits(self) -> dict[str, int]:
        """Number of samples in each split."""
        return dict(Counter(sample.split for sample in self.samples))

    def in_order_of(self, labels: Sequence[str]) -> Dataset:
        """The dataset with class indices in the order of ``labels``, such as a model's.

        Args:
            labels: class names in index order. Every label that a sample has must be among them.

        Raises:
            DataError: a sample has another label.
        """
        used = {self.labels[sample.label] for sample in self.samples}
        unknown = sorted(used - set(labels))
        if unknown:
            raise DataError(
                f"dataset {self.name!r} has the label {unknown[0]!r}, which is not in the model's set "
                f"{', '.join(labels)}; evaluate on data with the model's labels, or train on these"
            )
        index = {label: k for k, label in enumerate(labels)}
        samples = tuple(replace(sample, label=index[self.labels[sample.label]]) for sample in self.samples)
        return replace(self, labels=tuple(labels), samples=samples)

    def drawn_fps(self) -> float | None:
        """Frame rate of a set of avatars or animated stills, frames per second.

        Returns:
            None for any other set: folders of frames carry no clock.

        Raises:
            DataError: the set's description cannot be read.
        """
        for name in (AVATARS_FILE, ANIMATED_FILE):
            described = self.root / name
            if described.is_file():
                fps = read_json(described, DataError, "make the set again").get("fps")
                if not isinstance(fps, (int, float)):
                    raise DataError(f"{described} holds fps={fps!r}, no frame rate; make the set again")
                return float(fps)
        return None
