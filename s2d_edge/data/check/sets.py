"""Compare sets that are to be joined: their labels, and clips that are in two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from s2d_edge.core.console import Console
from s2d_edge.data.check.report import CheckReport, Content, Finding
from s2d_edge.data.reading.joined import list_sets
from s2d_edge.data.reading.listing import Listing
from s2d_edge.data.reading.open import list_data


def list_apart(data: Sequence[str], console: Console, labels: Sequence[str] | None) -> list[Listing]:
    """List each set as it is annotated, each by a name of its own.

    Args:
        data: each as ``--data`` takes it.
        labels: the only class names, in order; published datasets and the avatars have their own.

    Raises:
        DataError: no annotations there, damaged ones, or labels that cannot be joined.
    """
    listings = [list_data(each, console, labels) for each in data]
    if len(data) == 1:
        return listings
    names = [joined.name for joined in list_sets(data, console)]
    return [replace(listing, name=name) for listing, name in zip(listings, names, strict=True)]


def between(reports: Sequence[CheckReport]) -> list[Finding]:
    """Find the clips whose content is in a set before theirs, too."""
    seen: dict[str, list[tuple[str, Content]]] = {}
    found = []
    for report in reports:
        for content in report.contents:
            twins = [each for each in seen.get(content.sha256, ()) if each[0] != report.name]
            if not twins:
                continue
            elsewhere = next((each for each in twins if each[1].split != content.split), None)
            name, twin = elsewhere or twins[0]
            found.append(
                Finding(
                    kind="duplicate across splits" if elsewhere else "duplicate within a split",
                    what=f"{content.what} of {report.name}",
                    detail=f"{content.label!r} in {content.split!r}, has the content of {twin.what} of "
                    f"{name}, {twin.label!r} in {twin.split!r}",
                )
            )
        for content in report.contents:
            seen.setdefault(content.sha256, []).append((report.name, content))
    return found
