"""Write the rules as a page: ``python -m s2d_edge.lint.document > docs/targets.md``."""

from __future__ import annotations

import sys
from typing import get_args

from s2d_edge.contracts.bundle import EXPERIMENTAL, EXPERIMENTAL_TARGETS, Target
from s2d_edge.lint.check import rules_for

_HEAD = """\
# Rules of the targets

`export` and `calibrate` check every graph against these rules before a bundle is written, and
`s2d-edge lint BUNDLE` checks one that exists. A violation names the node, what is there, the rule and its
source. The rules are what the makers of the devices document, and what others measured where no document says
it.

What INT8 costs by these rules is in [accuracy.md](measured/accuracy.md).

This page is written by `python -m s2d_edge.lint.document` from the rules themselves, in `s2d_edge/lint/`.
"""
_SECTIONS: tuple[tuple[str, Target, str], ...] = (
    ("`jetson` (ONNX, through TensorRT)", "jetson", "model.onnx"),
    ("`intel-npu` (OpenVINO IR)", "intel-npu", "model.xml"),
    ("`intel-cpu`, `intel-gpu`, and `cpu` as OpenVINO IR", "cpu", "model.xml"),
    ("`cpu` as ONNX", "cpu", "model.onnx"),
)


def as_markdown() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, _support(), *(_section(*section) for section in _SECTIONS)])


def _support() -> str:
    """Return the table of targets: which ran on their device, and which are experimental."""
    rows = []
    for target in get_args(Target):
        state = EXPERIMENTAL if target in EXPERIMENTAL_TARGETS else "run here"
        rows.append(f"| `{target}` | {state} |")
    return "\n".join(["| target | state |", "| --- | --- |", *rows, ""])


def _section(title: str, target: Target, graph: str) -> str:
    rows = []
    for rule in rules_for(target, graph):
        name = f"`{rule.name}`{' (warns)' if rule.warns else ''}"
        rows.append(f"| {name} | {rule.wants} | {rule.why} | <{rule.source}> |")
    head = [f"## {title}", "", "| rule | the graph | why | source |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
