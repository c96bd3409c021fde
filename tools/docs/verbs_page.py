"""Every verb with its arguments, options and defaults, read from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from s2d_edge.verbs.main import app

_PLACEHOLDERS: dict[type, str] = {int: "N", float: "NUMBER", str: "TEXT"}


def verb_sections() -> str:
    """A section for each verb: what it does, and a table of its options."""
    return "\n\n".join(_section(name, command) for name, command in commands().items())


def commands() -> dict[str, TyperCommand]:
    """The verbs by what is typed, ``data check`` among them, in the order of ``--help``."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    return dict(_flat("", root))


def _flat(prefix: str, group: TyperGroup) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _flat(f"{prefix}{name} ", command)
        elif isinstance(command, TyperCommand) and not command.hidden:
            yield f"{prefix}{name}", command


def _section(name: str, command: TyperCommand) -> str:
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    usage = " ".join(["s2d-edge", name, *(_argument(each) for each in arguments), "[OPTIONS]"])
    lines = [f"## `{name}`", "", _text(command.help or ""), "", "```text", usage, "```", ""]
    lines += ["| argument or option | default | |", "| --- | --- | --- |"]
    for each in command.params:
        if isinstance(each, TyperArgument):
            lines.append(f"| `{_escape(_argument(each))}` | {_default(each)} | {_text(each.help or '')} |")
        elif isinstance(each, TyperOption) and not each.hidden and each.name != "help":
            lines.append(f"| {_option(each)} | {_default(each)} | {_text(each.help or '')} |")
    return "\n".join(lines)


def _argument(argument: TyperArgument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    if argument.nargs != 1 and not name.rstrip("]").endswith("…"):
        name += "…"
    return name


def _option(option: TyperOption) -> str:
    names = [f"`{name}`" for name in (*option.opts, *option.secondary_opts)]
    if not option.is_flag:
        placeholder = option.metavar or _PLACEHOLDERS.get(type(option.default), "VALUE")
        names[0] = f"`{option.opts[0]} {_escape(placeholder)}`"
    return ", ".join(names)


def _default(parameter: TyperArgument | TyperOption) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    if value is None or value is False or value in ("", [], ()) or callable(value):
        return ""
    return "on" if value is True else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _text(text: str) -> str:
    return _escape(" ".join(text.split()))


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
