"""Every setting of a training with its default, read from the dataclasses that check them."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from s2d_edge.train import recipes
from s2d_edge.train.plan.settings import TrainSettings
from tools.docs.docstrings import attributes, summary


def settings_tables() -> str:
    """A section for what all stages share, then one for each group of settings."""
    return "\n\n".join(_sections(TrainSettings, "", seen=set()))


def _sections(group: type, path: str, seen: set[type]) -> list[str]:
    seen.add(group)
    described = attributes(group)
    title = "Shared by all stages" if not path else f"`{path}`"
    rows = [f"## {title}", "", summary(group), "", "| setting | default | |", "| --- | --- | --- |"]
    nested: list[str] = []
    for each in fields(group):
        name, inner = f"{path}.{each.name}".lstrip("."), _default(each)
        if is_dataclass(inner):
            kind = type(inner)
            if kind in seen:
                nested.append(f"## `{name}`\n\nThe settings of its kind above, under `{name}.`.")
            else:
                nested += _sections(kind, name, seen)
            continue
        rows.append(f"| `{name}` | `{_toml(inner)}` | {described.get(each.name, '')} |")
    return ["\n".join(rows), *nested]


def recipe_sections() -> str:
    """A section for each recipe, from the comment at its head; indented lines are commands."""
    paths = sorted(Path(str(recipes.__file__)).parent.glob("*.toml"))
    return "\n\n".join(f"### `{path.stem}`\n\n{_head(path)}" for path in paths)


def _head(path: Path) -> str:
    lines: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#")
        indented = text.startswith("   ")
        if indented and not _inside(lines):
            lines.append("```console")
        elif not indented and _inside(lines):
            lines.append("```")
        lines.append(text.strip())
    return "\n".join([*lines, "```"] if _inside(lines) else lines)


def _inside(lines: list[str]) -> bool:
    """Say if a fence is open."""
    return sum(line.startswith("```") for line in lines) % 2 == 1


def _default(each: Field[Any]) -> Any:
    if each.default_factory is not MISSING:
        return each.default_factory()
    return each.default


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
