"""The rules as a page for people: ``python -m s2d_edge.lint.document > docs/targets.md``."""

from __future__ import annotations

import sys

from s2d_edge.contracts.bundle import Target
from s2d_edge.lint.check import rules_for

_HEAD = """\
# What each target asks of a graph

`export` and `calibrate` check every graph against these rules before a bundle is written, and
`s2d-edge lint BUNDLE` checks one that exists. A violation names the node, what is there, the rule and its
source. Nothing here was run on the devices: it is what their makers document, and what others measured where
no document says it.

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
    """The whole page."""
    return "\n".join([_HEAD, *(_section(*section) for section in _SECTIONS)])


def _section(title: str, target: Target, graph: str) -> str:
    rows = []
    for rule in rules_for(target, graph):
        name = f"`{rule.name}`{' (warns)' if rule.warns else ''}"
        rows.append(f"| {name} | {rule.wants} | {rule.why} | <{rule.source}> |")
    head = [f"## {title}", "", "| rule | the graph | why | source |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
