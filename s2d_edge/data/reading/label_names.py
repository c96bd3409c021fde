"""Labels that are one although sets spell them differently: an expression's noun and its adjective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from s2d_edge.core.console import Console
from s2d_edge.core.errors import DataError
from s2d_edge.data.reading.listing import Listing
from s2d_edge.data.reading.spelling import bare

_NOUNS = {
    "angry": "anger",
    "anxious": "anxiety",
    "contemptuous": "contempt",
    "disappointed": "disappointment",
    "disgusted": "disgust",
    "fearful": "fear",
    "happy": "happiness",
    "helpless": "helplessness",
    "sad": "sadness",
    "surprised": "surprise",
}


def with_names(listing: Listing, known: Sequence[str], console: Console) -> Listing:
    """The listing with its labels named as in ``known``, where they are the same expression; says so.

    Args:
        known: labels of a model, or of other sets.

    Raises:
        DataError: two labels of the listing are one of ``known``.
    """
    used = {entry.label for entry in (*listing.entries, *listing.undecided)}
    own = sorted(used if listing.labels_given else used | set(listing.labels))
    names = same_expressions(own, known)
    if not names:
        return listing
    for label, name in names.items():
        if name in own or list(names.values()).count(name) > 1:
            twin = next(one for one in own if one != label and names.get(one, one) == name)
            raise DataError(
                f"dataset {listing.name!r} has the labels {label!r} and {twin!r}, and both would be "
                f"{name!r}; write one of them everywhere in that set"
            )
    renamed = ", ".join(f"{label!r} as {name!r}" for label, name in names.items())
    console.say(f"{listing.name}: labels are taken by their meaning: {renamed}")
    entries, undecided = (
        tuple(replace(entry, label=names.get(entry.label, entry.label)) for entry in given)
        for given in (listing.entries, listing.undecided)
    )
    labels = tuple(names.get(label, label) for label in listing.labels)
    return replace(listing, labels=labels, entries=entries, undecided=undecided)


def same_expressions(labels: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """The known label of each label that is spelled otherwise, as ``happy`` and ``happiness`` are.

    A label that differs in case or blanks alone is misspelled, and none of these.
    """
    by_noun = {_noun(label): label for label in reversed(known)}
    spelled = {bare(label) for label in known}
    return {
        label: by_noun[_noun(label)]
        for label in labels
        if bare(label) not in spelled and _noun(label) in by_noun
    }


def _noun(label: str) -> str:
    """The label's noun, without case and blanks; an ending such as ``-onset`` stays."""
    word, dash, rest = bare(label).partition("-")
    return _NOUNS.get(word, word) + dash + rest
