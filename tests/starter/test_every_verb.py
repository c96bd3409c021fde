"""Every verb that takes a bundle finds it by a starter's name, by a path, and by its default."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from s2d_edge.firmware_host import bundles
from tests.colours import write_colours
from tests.firmware_host.graphs import CALIBRATED, make_bundle
from tests.verbs.command import run, verbs

# The words of each verb; "{}" is where its bundle goes.
VERBS = {
    "evaluate": ("evaluate", "{}", "--data", "data"),
    "predict": ("predict", "{}", "picture.png"),
    "calibrate": ("calibrate", "{}", "--data", "data"),
    "report": ("report", "{}"),
    "compare": ("compare", "{}"),
    "benchmark": ("benchmark", "{}"),
    "selftest": ("selftest", "{}"),
    "lint": ("lint", "{}"),
    "deploy": ("deploy", "{}", "--to", "ovms"),
    "run": ("run", "--bundle", "{}", "--source", "picture.png"),
}
NO_DEFAULT = {"predict", "lint", "deploy"}


def test_no_verb_that_takes_a_bundle_is_missing() -> None:
    takes = {
        words[0]
        for words, command in verbs().items()
        if {"bundle", "bundles", "model", "models"} & {each.name for each in command.params}
    }
    assert takes - {"train"} == VERBS.keys()  # train's --model is a size


def _damaged(folder: Path, precision: str, target: str = "cpu") -> Path:
    """A bundle whose weights differ from their hash, so that whatever opens it fails and names it."""
    int8 = precision == "int8"
    bundle = make_bundle(folder, target=target, precision=precision, calibration=CALIBRATED if int8 else None)
    weights = folder / "model.bin"
    weights.write_bytes(bytes(255 - byte for byte in weights.read_bytes()))
    return bundle.path


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with clips, and a package that ships two damaged bundles."""
    package = tmp_path / "package"
    _damaged(package / "intel-cpu", "int8", "intel-cpu")
    _damaged(package / "cpu", "int8")
    monkeypatch.setattr(bundles, "STARTER_FOLDER", package)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "work"
    write_colours(folder / "data", "test", 1)
    assert cv2.imwrite(str(folder / "picture.png"), np.zeros((48, 48, 3), np.uint8))
    monkeypatch.chdir(folder)
    return folder


def _opened(verb: str, given: str, capfd: pytest.CaptureFixture[str]) -> str:
    """The error of a verb that opened a damaged bundle."""
    words = [word.format(given) for word in VERBS[verb]]
    if not given:
        words = [word for word in words if word not in ("", "--bundle")]
    assert run(*words, "--quiet") == 1
    said = capfd.readouterr().err
    assert "model.bin" in said
    return said


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_the_starter_a_target_and_a_path(
    verb: str, work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _damaged(work / "starter", "fp32")
    package = bundles.STARTER_FOLDER
    assert f"{package / 'intel-cpu'}:" in _opened(verb, "starter", capfd)
    assert f"{package / 'cpu'}:" in _opened(verb, "starter-cpu", capfd)
    assert "error: starter:" in _opened(verb, "./starter", capfd)


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - NO_DEFAULT))
def test_a_verb_has_a_default_under_bundles(verb: str, work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    precision = "int8" if verb == "report" else "fp32"
    own = _damaged(Path("bundles/own"), precision)
    assert f"{own}:" in _opened(verb, "", capfd)


@pytest.mark.parametrize("verb", sorted(NO_DEFAULT))
def test_the_other_verbs_report_that_they_need_a_bundle(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(verb) == 2
    assert "Missing" in capfd.readouterr().err


@pytest.mark.parametrize("verb", ["evaluate", "calibrate", "benchmark", "selftest", "run"])
def test_a_device_that_this_machine_lacks_is_named_before_a_bundle_is_chosen(
    verb: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from s2d_edge.firmware_host.engines import choose

    monkeypatch.setattr(choose, "machine_devices", lambda: ("cpu",))
    words = [word for word in VERBS[verb] if word not in ("{}", "--bundle")]
    for folder in (None, Path("bundles/own")):
        if folder is not None:
            _damaged(folder, "fp32")
        assert run(*words, "--device", "gpu") == 1
        said = capfd.readouterr().err
        assert said.startswith("error: --device gpu: ")
