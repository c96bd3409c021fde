"""``import s2d_edge`` brings every public name, and nothing heavy."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys

import pytest

import s2d_edge

_HEAVY = "numpy", "torch", "openvino", "onnxruntime", "cv2", "mediapipe", "pydantic", "rich", "typer"

# Refuses the packages that a device does not have, as their absence would.
_NO_TRAINING = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "nncf"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])
sys.meta_path.insert(0, Absent())
"""


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_it_imports_nothing_heavy() -> None:
    code = f"import sys, s2d_edge; print([name for name in {_HEAVY!r} if name in sys.modules])"
    assert _python(code).strip() == "[]"


def test_every_public_name_is_there_and_documented() -> None:
    assert sorted(s2d_edge.__all__) == sorted(set(s2d_edge.__all__))
    for name in s2d_edge.__all__:
        thing = getattr(s2d_edge, name)
        assert name == "__version__" or inspect.getdoc(thing), name
        assert name in dir(s2d_edge)


def test_the_help_page_shows_every_public_name() -> None:
    page = pydoc.plain(pydoc.render_doc(s2d_edge))
    for name in s2d_edge.__all__:
        thing = getattr(s2d_edge, name)
        if inspect.isclass(thing):
            assert f"class {name}(" in page or f"class {name}\n" in page, name
        elif callable(thing):
            assert f"    {name}(" in page, name
    assert f"VERSION\n    {s2d_edge.__version__}" in page


def test_public_names_hold_no_more_than_is_listed() -> None:
    homes = vars(s2d_edge)["_HOMES"]
    assert {*homes, "__version__"} == set(s2d_edge.__all__)
    for name, home in homes.items():
        assert getattr(sys.modules.get(home) or __import__(home, fromlist=["_"]), name).__module__ == home


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="exprot"):
        getattr(s2d_edge, "exprot")  # noqa: B009  (mypy knows there is no such name)


def test_functions_keep_their_names_whatever_stage_is_imported() -> None:
    code = """
import s2d_edge.export.targets, s2d_edge.calibrate.search.gate
import s2d_edge, types
for name in ("calibrate", "export", "train"):
    assert isinstance(getattr(s2d_edge, name), types.FunctionType), name
"""
    _python(code)


def test_the_whole_page_is_read_without_the_training_packages() -> None:
    code = f"{_NO_TRAINING}\nimport pydoc, s2d_edge; print(len(pydoc.render_doc(s2d_edge)))"
    assert int(_python(code)) > 5000
