"""The report of a check: findings about a dataset, and its clips counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "unknown label",
    "listed twice",
    "missing",
    "unreadable",
    "too few frames",
    "slower than the model's rate",
    "subject in several splits",
    "duplicate across splits",
    "duplicate within a split",
    "class without clips",
    "label spelled in several ways",
    "split spelled in several ways",
    "subject spelled in several ways",
    "no training split",
    "one class",
    "class without training clips",
    "no validation clips",
    "class without validation clips",
    "few validation clips",
    "no face",
]
WARNINGS: frozenset[Kind] = frozenset(
    {
        "slower than the model's rate",
        "duplicate within a split",
        "class without clips",
        "subject spelled in several ways",
        "class without validation clips",
        "few validation clips",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault or warning about a dataset.

    Attributes:
        kind: the kind of fault.
        what: the clip, subject or class that has it.
        detail: the rest of the sentence.
    """

    kind: Kind
    what: str
    detail: str

    @property
    def trouble(self) -> bool:
        """True for a fault that must be corrected; False for a warning."""
        return self.kind not in WARNINGS

    @property
    def sentence(self) -> str:
        """The finding as one sentence."""
        return f"{self.kind}: {self.what}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One readable clip, for a comparison with those of other sets.

    Attributes:
        sha256: of its content.
        what: its path, for messages.
        label: as annotated.
        split: as annotated.
    """

    sha256: str
    what: str
    label: str
    split: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The findings about a dataset, and its clips counted.

    Attributes:
        name: the dataset.
        labels: class names in index order, then labels outside the set.
        counts: clips of each label in each split, as annotated.
        notes: sentences about what was left out on purpose.
        findings: in the order of their kinds.
        contents: of the clips that can be read.
    """

    name: str
    labels: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    contents: tuple[Content, ...] = ()

    @property
    def clips(self) -> int:
        """Number of clips listed."""
        return sum(sum(counts.values()) for counts in self.counts.values())

    @property
    def kinds(self) -> dict[Kind, int]:
        """Number of findings of each kind."""
        return dict(Counter(finding.kind for finding in self.findings))

    @property
    def passed(self) -> bool:
        """True when no fault must be corrected."""
        return not any(finding.trouble for finding in self.findings)
