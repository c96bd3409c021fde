"""Named recipes: one TOML file each, headed by its command, its time and the score to expect.

A recipe changes the defaults of the settings, which are the published values; with ``extends`` it changes
another recipe.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from s2d_edge.core.errors import ConfigError
from s2d_edge.train.plan.overrides import dotted, parse_toml, with_changes
from s2d_edge.train.plan.settings import TrainSettings

_FILES = resources.files(__name__)
NAMES = tuple(
    sorted(file.name.removesuffix(".toml") for file in _FILES.iterdir() if file.name.endswith(".toml"))
)


def recipe(name: str) -> TrainSettings:
    """Load the settings of a named recipe.

    Raises:
        ConfigError: no such recipe.
    """
    if name not in NAMES:
        raise ConfigError(f"there is no recipe {name!r}; choose one of {', '.join(NAMES)}")
    source = f"recipe {name}"
    tree: dict[str, Any] = parse_toml((_FILES / f"{name}.toml").read_text(encoding="utf-8"), source)
    base = tree.pop("extends", None)
    return with_changes(recipe(base) if base else TrainSettings(), dotted(tree), source)
