"""A dataset, of one set or of several joined: class names in order, and clips before anything is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
        subject: the person in it, where known; one name in two sets is two people.
        votes: the share of people's votes that each class got, in the dataset's label order, with sum 1; None
            where only a label is known.
        source: index of its set among the dataset's ``sources``.
    """

    path: Path
    label: int
    split: str
    subject: str | None = None
    votes: tuple[float, ...] | None = None
    source: int = 0


def vote_shares(votes: Sequence[float]) -> tuple[float, ...] | None:
    """The share of each class in the votes, with sum 1; None where no class has a vote."""
    total = sum(votes)
    return tuple(vote / total for vote in votes) if total else None


def vote_table(samples: Sequence[Sample]) -> NDArray[np.float32] | None:
    """Votes on n samples, (n, K) float32, zeros for a sample without votes; None where none has any."""
    classes = next((len(sample.votes) for sample in samples if sample.votes is not None), 0)
    if not classes:
        return None
    return np.array([sample.votes or (0.0,) * classes for sample in samples], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One set of a dataset.

    Attributes:
        name: for reports; no other set of the dataset has it.
        root: the folder that its paths are relative to.
        labels: those it knows, by the dataset's names. Of the others it says nothing: that no clip has one of
            them does not mean that none shows it.
        published: the published dataset it is, if any.
    """

    name: str
    root: Path
    labels: tuple[str, ...]
    published: LabelSet | None = None

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled clips, and the order of their classes.

    Attributes:
        name: for reports, e.g. ``faces`` or ``avatars``.
        root: the folder that paths are relative to; of several sets the first one's.
        labels: class names in index order.
        samples: all splits.
        published: the published dataset it is, if any.
        val_written: the name that ``val`` has in the annotations, such as ``dev``.
        undecided: of all splits, clips with votes that name no class by majority. Their label is the class
            with most votes. They are no part of any split: only a training on votes may add them.
        left_out: the clips of labels that nobody asked for, by split and label.
        joined: the sets it was joined from; empty where it is one set.
    """

    name: str
    root: Path
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    published: LabelSet | None = None
    val_written: str = VAL
    undecided: tuple[Sample, ...] = ()
    left_out: Mapping[tuple[str, str], int] = field(default_factory=dict)
    joined: tuple[Source, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sets it consists of, at least one."""
        alone = Source(name=self.name, root=self.root, labels=self.labels, published=self.published)
        return self.joined or (alone,)

    @property
    def known(self) -> NDArray[np.bool_]:
        """The labels that each set knows, (sets, K) bool."""
        return np.array([[label in source.labels for label in self.labels] for source in self.sources])

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split, in the file's order; empty when there is no such split.

        The name that ``val`` has in the annotations finds it too.
        """
        wanted = self._split_name(name)
        return tuple(sample for sample in self.samples if sample.split == wanted)

    def left_out_of(self, name: str) -> dict[str, int]:
        """The clips of one split whose label nobody asked for: how many of each label."""
        wanted = self._split_name(name)
        return {label: count for (split, label), count in self.left_out.items() if split == wanted}

    def _split_name(self, name: str) -> str:
        return VAL if name == self.val_written else name

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
        used = {self.labels[sample.label] for sample in (*self.samples, *self.undecided)}
        unknown = sorted(used - set(labels))
        if unknown:
            raise DataError(
                f"dataset {self.name!r} has the label {unknown[0]!r}, which is not in the model's set "
                f"{', '.join(labels)}; evaluate on data with the model's labels, or train on these"
            )
        index = {label: k for k, label in enumerate(labels)}

        def moved(sample: Sample) -> Sample:
            placed = replace(sample, label=index[self.labels[sample.label]])
            if sample.votes is None:
                return placed
            votes = dict(zip(self.labels, sample.votes, strict=True))
            return replace(placed, votes=vote_shares([votes.get(label, 0.0) for label in labels]))

        samples, undecided = (tuple(map(moved, given)) for given in (self.samples, self.undecided))
        return replace(self, labels=tuple(labels), samples=samples, undecided=undecided)
