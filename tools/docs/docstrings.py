"""Read what classes say of their attributes in Google-style docstrings."""

from __future__ import annotations

import inspect
import re
from textwrap import dedent

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Example|Examples):$", re.MULTILINE)


def summary(item: object) -> str:
    """The first paragraph of a docstring, as one line of Markdown."""
    return _markdown((inspect.getdoc(item) or "").split("\n\n")[0])


def attributes(item: type) -> dict[str, str]:
    """Descriptions under ``Attributes:``, by name; a line ``a, b: text`` describes both."""
    text = inspect.getdoc(item) or ""
    found = re.search(r"^Attributes:\n((?:[ ]{4}.*\n?|\n)+)", text, re.MULTILINE)
    if found is None:
        return {}
    described: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", dedent(found.group(1)).strip()):
        names, _, words = entry.partition(": ")
        for name in names.split(","):
            described[name.strip()] = _markdown(words)
    return described


def body(item: object) -> str:
    """Everything of a docstring but its sections, as Markdown paragraphs."""
    text = _SECTION.split(inspect.getdoc(item) or "")[0]
    return "\n\n".join(_markdown(part) for part in text.strip().split("\n\n"))


def _markdown(text: str) -> str:
    joined = " ".join(text.split())
    joined = re.sub(r":\w+:`([^`]+)`", r"`\1`", joined)
    return joined.replace("``", "`").replace("|", "\\|")
