"""The names of the splits: what is taken for ``val``, and what is misspelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from s2d_edge.data.reading.spelling import bare

TRAIN, VAL, TEST = "train", "val", "test"
VALIDATION_NAMES = ("valid", "validation", "dev", "eval")  # taken for ``val``
# Names that are splits of their own, but hardly meant so beside the one that they read like.
_READS_LIKE = {
    **dict.fromkeys(("training", "trainset", "train set", "train_set", "trn", "tr"), TRAIN),
    **dict.fromkeys(("validate", "validating", "valset", "val set", "val_set"), VAL),
    **dict.fromkeys(("testing", "testset", "test set", "test_set", "tst", "te"), TEST),
}


def validation_alias(splits: Iterable[str]) -> str | None:
    """The split that is taken for ``val``; None where there is none, several, or a ``val`` besides."""
    there = set(splits)
    found = [name for name in VALIDATION_NAMES if name in there]
    return found[0] if len(found) == 1 and VAL not in there else None


def rival_validations(splits: Iterable[str]) -> tuple[str, ...]:
    """The splits of which each could be ``val``, where that is undecided; else none."""
    there = set(splits)
    found = tuple(name for name in VALIDATION_NAMES if name in there)
    return found if len(found) > 1 and VAL not in there else ()


def misspelled(clips: Counter[str]) -> dict[str, str]:
    """Splits that differ from a known or more frequent one in case, blanks or Unicode form, with that one.

    So do those such as ``training`` where there is a ``train`` too.

    Args:
        clips: number of clips in each split.
    """
    known = {bare(name): name for name in (TRAIN, VAL, TEST, *VALIDATION_NAMES)}
    for name, _ in clips.most_common():
        known.setdefault(bare(name), name)
    there = {bare(name) for name in clips}
    near = {name: _READS_LIKE[bare(name)] for name in clips if _READS_LIKE.get(bare(name)) in there}
    return near | {name: known[bare(name)] for name in clips if known[bare(name)] != name}
