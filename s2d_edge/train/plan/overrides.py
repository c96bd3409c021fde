"""``--config FILE.toml`` and ``--set key=value``: dotted changes to a tree of frozen dataclasses."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from s2d_edge.core.errors import ConfigError, DataError
from s2d_edge.core.json_files import check_depth
from s2d_edge.data.reading.tables import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Settings = TypeVar("Settings")

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "a list such as [0.25, 0.5]",
}


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """List every value of a tree of dataclasses under its dotted name, in order."""
    flat: dict[str, Any] = {}
    for item in fields(settings):
        value, name = getattr(settings, item.name), prefix + item.name
        flat.update(flatten(value, f"{name}.") if is_dataclass(value) else {name: value})
    return flat


def with_changes(settings: Settings, changes: Mapping[str, Any], source: str) -> Settings:
    """Copy ``settings`` with dotted names changed; each value must have the type of the one it replaces.

    Args:
        settings: a tree of frozen dataclasses.
        changes: dotted name to value, e.g. ``{"image.lr": 1e-3}``.
        source: where the changes come from, for error messages.

    Raises:
        ConfigError: an unknown name (the nearest one is suggested), a value of another type, or one that
            is out of range.
    """
    known = flatten(settings)
    typed = {}
    for name, value in changes.items():
        if name not in known:
            raise ConfigError(f"{source}: there is no setting {name!r}{_suggestion(name, known)}")
        typed[name] = _as_type_of(known[name], value, name, source)
    try:
        return cast(Settings, _replaced(settings, typed))
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def read_config(path: Path) -> dict[str, Any]:
    """Read the dotted settings of a TOML file.

    Raises:
        ConfigError: the file is missing or is not TOML.
    """
    try:
        text = read_text(path)
    except DataError as error:
        raise ConfigError(f"--config {error}") from None
    return dotted(parse_toml(text, f"--config {path}"))


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """Parse a TOML text into a tree of tables.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        tree: dict[str, Any] = tomllib.loads(text)
        check_depth(tree)
    except (ValueError, RecursionError) as error:  # not TOML, a number of too many digits, nested too deeply
        raise ConfigError(f"{source} is not valid TOML: {error}") from None
    return tree


def parse_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Parse ``["image.lr=1e-3", …]`` into dotted settings; values are TOML, else plain text.

    Raises:
        ConfigError: no ``=``, or no name before it.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not name or not equals:
            raise ConfigError(f"--set {text!r} is not of the form key=value, e.g. --set image.lr=1e-3")
        try:
            changes[name] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            changes[name] = value.strip()
    return changes


def dotted(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a tree of tables into dotted settings: ``{"image": {"lr": 1}}`` becomes ``{"image.lr": 1}``."""
    return dict(_pairs(tree))


def _pairs(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _pairs(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _replaced(settings: Any, changes: Mapping[str, Any]) -> Any:
    """Apply all changes at once, since settings check themselves against one another."""
    values: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        first, _, rest = name.partition(".")
        if rest:
            inner.setdefault(first, {})[rest] = value
        else:
            values[first] = value
    for first, changed in inner.items():
        try:
            values[first] = _replaced(getattr(settings, first), changed)
        except ConfigError as error:  # it names the setting, as the others of its group know it
            stage = "" if str(error).startswith(f"{first}.") else f"{first}."
            raise ConfigError(f"{stage}{error}") from None
    return replace(settings, **values)


def _as_type_of(old: Any, value: Any, name: str, source: str) -> Any:
    wanted = type(old)
    if wanted is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise ConfigError(f"{source}: {name} is too large a number; give a smaller one") from None
    if wanted is tuple and type(value) is list:
        return tuple(_as_type_of(old[0], each, name, source) for each in value)
    if type(value) is not wanted:
        raise ConfigError(
            f"{source}: {name}={value!r} must be {_WORDS[wanted]}, like its present {_toml(old)}"
        )
    return value


def _toml(value: Any) -> str:
    """A value as a user writes it."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _suggestion(name: str, known: Mapping[str, Any]) -> str:
    near = [full for full in known if full.rpartition(".")[2] == name]  # its stage was left out
    near = near or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return (
        f"; did you mean {' or '.join(repr(each) for each in near)}?"
        if near
        else f"; there are {', '.join(known)}"
    )
