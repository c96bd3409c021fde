"""A labelled clip, before anything is decoded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from s2d_edge.contracts.labels import LabelSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One labelled clip or picture.

    Attributes:
        path: a video file, an image file, or a folder of frames.
        label: class index in the dataset's label order.
        subject: who is seen, where known.
        split: ``train``, ``val``, ``test`` or any other name.
    """

    path: Path
    label: int
    split: str
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled clips of one source.

    Attributes:
        name: for reports, e.g. ``faces`` or ``avatars``.
        root: what the paths are relative to.
        labels: class names in index order.
        samples: all splits.
        published: which published dataset it is, where it is one.
    """

    name: str
    root: Path
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    published: LabelSet | None = None

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split, in the file's order; empty when there is no such split."""
        return tuple(sample for sample in self.samples if sample.split == name)

    @property
    def splits(self) -> dict[str, int]:
        """Samples per split."""
        return dict(Counter(sample.split for sample in self.samples))
