"""Names shown in little room: cut, and still told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

_CUT = "…"


def cut_apart(names: Sequence[str], longest: int) -> list[str]:
    """Cut long names so that no two different ones become equal.

    The end is cut off; names that would be equal then lose their middle instead, or end in their number.

    Args:
        longest: characters of a cut name; at least one more than the largest number has, and 3.

    Returns:
        As many names, in order. Names that are short enough stay as they are.
    """
    half = (longest - len(_CUT)) // 2
    ways: tuple[Callable[[int, str], str], ...] = (
        lambda _, name: name[: longest - len(_CUT)] + _CUT,
        lambda _, name: name[: longest - len(_CUT) - half] + _CUT + name[-half:],
        lambda k, _: f"{names[k][: longest - len(_CUT) - len(str(k + 1))]}{_CUT}{k + 1}",
    )
    shown = list(names)
    pending = {k for k, name in enumerate(names) if len(name) > longest}
    for way in ways:
        for k in pending:
            shown[k] = way(k, names[k])
        meanings = Counter(short for short, _ in {*zip(shown, names, strict=True)})
        pending = {k for k in pending if meanings[shown[k]] > 1}
    return shown
