"""Every command that a page shows is one: the verb and each option exist, as do scripts and make targets."""

from __future__ import annotations

import re
import shlex
from functools import cache

import pytest
import typer

from tests.docs.pages import ROOT, blocks, inline_code, pages
from tools.docs import verbs_page

_SHELL = ("", "console", "sh")
commands = cache(verbs_page.commands)


def _shown() -> list[tuple[str, str]]:
    """Every command line in the pages' blocks and inline code, with where it stands."""
    found = []
    for page in pages():
        for block in blocks(page):
            if block.language in _SHELL:
                found += [(f"{block.page}:{block.line}", command) for command in block.commands()]
        found += [(str(page.relative_to(ROOT)), code) for code in inline_code(page)]
    return found


def _verb_lines() -> list[tuple[str, str]]:
    """The command lines that call S2D-Edge, from the verb on."""
    found = []
    for where, command in _shown():
        called = re.search(r"(?:^|\s|/)(?:s2d-edge|-m s2d_edge) (?P<line>[a-z].*)", command)
        if called is not None:
            found.append((where, called["line"]))
    return sorted(set(found))


def test_pages_show_most_verbs() -> None:
    shown = {line.split()[0] for _, line in _verb_lines()}
    assert {name.split()[0] for name in commands()} - shown == set()


@pytest.mark.parametrize(("where", "line"), _verb_lines())
def test_verbs_and_options_exist(where: str, line: str) -> None:
    for single in line.split(";  s2d-edge "):
        words = shlex.split(single)
        verbs = commands()
        name = " ".join(words[:2]) if " ".join(words[:2]) in verbs else words[0]
        if name == "data":
            continue
        assert name in verbs, f"{where}: no verb {name}"
        command, words = verbs[name], words[len(name.split()) :]
        if words and words[-1] in {option for each in command.params for option in each.opts}:
            words = words[:-1]  # prose may name an option without its value
        parser = command.make_parser(typer.Context(command, info_name=name))
        parser.parse_args(words)  # raises where an option is unknown or lacks its value


def test_scripts_and_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for where, command in _shown():
        for script in re.findall(r"python (docs/\S+\.py)", command):
            assert (ROOT / script).is_file(), f"{where}: {command}"
        for module in re.findall(r"python -m (tools[\w.]*)", command):
            path = ROOT / module.replace(".", "/")
            assert path.is_dir() or path.with_suffix(".py").is_file(), f"{where}: {command}"
        made = re.match(r"make((?: [a-z0-9]+)+|(?: [A-Z_]+=\S+)+ [a-z0-9]+)", command)
        for target in re.findall(r"(?<= )[a-z0-9]+(?= |$)", made[0]) if made else ():
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{where}: {command}"
