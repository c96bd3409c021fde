"""``--help`` of every verb: complete, quick to give, and true."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from s2d_edge.contracts.bundle import EXPERIMENTAL, EXPERIMENTAL_TARGETS
from s2d_edge.contracts.model_config import PRESETS
from s2d_edge.export.targets import TARGETS
from s2d_edge.train import recipes
from tests.verbs.command import BLOCK_TRAINING, run, verbs

VERBS = verbs()
_HEAVY = "numpy", "torch", "cv2", "mediapipe", "openvino", "onnx", "onnxruntime"


def _help(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(*words, "--help") == 0
    return " ".join(capsys.readouterr().out.split())


def test_the_verbs() -> None:
    assert {words[0] for words in VERBS} == {
        "demo",
        "train",
        "import",
        "evaluate",
        "export",
        "calibrate",
        "report",
        "compare",
        "benchmark",
        "predict",
        "run",
        "selftest",
        "lint",
        "deploy",
        "doctor",
        "data",
    }
    assert {words[1] for words in VERBS if len(words) > 1} == {"check", "avatars", "animate"}


@pytest.mark.slow(seconds=2)
def test_no_help_imports_anything_heavy_or_needs_what_a_device_lacks() -> None:
    code = f"""{BLOCK_TRAINING}
from s2d_edge.verbs.main import app
app(["--help"], standalone_mode=False)
assert "pydantic" not in sys.modules  # Typer takes it for a verb's parameters
for words in {[*map(list, VERBS)]!r}:
    app([*words, "--help"], standalone_mode=False)
print("HEAVY", [name for name in {_HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage:") == len(VERBS) + 1
    assert done.stdout.endswith("HEAVY []\n")


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_verb_explains_itself_and_each_of_its_options(words: tuple[str, ...]) -> None:
    command = VERBS[words]
    assert command.help
    assert command.help.strip().splitlines()[0].endswith(".")
    options = {option for each in command.params for option in each.opts}
    assert {"--quiet", "--debug"} <= options
    for each in command.params:
        assert getattr(each, "help", None), f"{' '.join(words)}: {each.name}"


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    page = _help(capsys=capsys)
    for words in VERBS:
        assert f" {words[0]} " in page


def test_train_names_every_size_and_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    words = set(re.findall(r"[\w-]+", _help("train", capsys=capsys)))
    assert words >= set(PRESETS)
    assert words >= set(recipes.NAMES)


def test_export_marks_the_targets_that_met_no_device(capsys: pytest.CaptureFixture[str]) -> None:
    page = _help("export", capsys=capsys)
    assert all(target in page for target in TARGETS)
    sentence = next(part for part in page.split(". ") if EXPERIMENTAL in part)
    marked = sentence.split(EXPERIMENTAL)[0]
    assert {target for target in TARGETS if re.search(rf"(?<![\w-]){target}(?![\w-])", marked)} >= (
        EXPERIMENTAL_TARGETS
    )


def test_the_package_runs_as_a_module_for_torchrun() -> None:
    command = [sys.executable, "-m", "s2d_edge", "train", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--resume" in done.stdout
