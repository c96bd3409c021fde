"""One OpenVINO core serves a process, so that signals find their stack."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from s2d_edge.calibrate.quantize.nncf_session import nncf_session
from s2d_edge.core.errors import DataError
from s2d_edge.core.openvino_core import openvino_core

ROOT = Path(__file__).parents[2]

# An engine is opened, then a face search; the engine is freed first, as when a model is exchanged.
EXCHANGED = """
import gc, signal
from s2d_edge.firmware_host.engines import open_engine
from s2d_edge.firmware_host.bundles import find_bundle
from s2d_edge.core.console import Console
from s2d_edge.media.faces.finder import FaceFinder

def opened():
    return open_engine(find_bundle("starter-intel-cpu", "cpu", Console(quiet=True)), "cpu")

signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
first = opened()
finder = FaceFinder(static=False)
second = opened()
for each in (first, second):
    each.close()
del first, each
gc.collect()
finder.close()
del finder
gc.collect()
signal.raise_signal(signal.SIGTERM)
"""


@pytest.mark.slow(seconds=3)
def test_a_signal_is_heard_after_engines_were_freed_in_any_order() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", EXCHANGED],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_there_is_one_core() -> None:
    assert openvino_core() is openvino_core()


@pytest.mark.slow(seconds=3)  # importing NNCF
def test_libraries_that_make_cores_get_the_shared_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """NNCF makes one for each compiled graph, in both of the ways that it knows."""
    core, usual = openvino_core(), openvino.Core

    def refuse(self: object) -> None:
        raise AssertionError("a second core")

    monkeypatch.setattr(usual, "__init__", refuse)
    data = ops.parameter((1, 2), np.float32)
    with nncf_session():
        assert openvino.Core() is openvino_core() is core
        compiled = openvino.compile_model(openvino.Model([ops.relu(data)], [data], "relu"), "CPU")
        assert compiled(np.array([[-1, 1]], np.float32))[0].tolist() == [[0, 1]]
    with pytest.raises(DataError), nncf_session():
        raise DataError
    assert openvino.Core is usual
    assert openvino_core() is core


def test_no_other_core_is_made() -> None:
    """The packages' code takes the shared core wherever it uses OpenVINO."""
    made = [
        f"{path}:{node.lineno}"
        for folder in ("s2d_edge", "export", "calibrate", "firmware_host")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "openvino_core.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "Core"
    ]
    assert made == []
