"""Which bundle is meant: by a name, by a path, by none; on this machine and on others."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2d_edge import starter
from s2d_edge.contracts.bundle import Manifest
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, MissingExtraError, S2DEdgeError
from s2d_edge.firmware_host.bundles import find_bundle, named
from s2d_edge.firmware_host.engines import choose, choose_starter, nvidia
from s2d_edge.verbs.models import choose_model
from tests.firmware_host.graphs import make_bundle

QUIET = Console(quiet=True)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships two bundles, and a working directory without any."""
    folder = tmp_path / "package"
    make_bundle(folder / "intel-cpu")
    make_bundle(folder / "jetson", graph="model.onnx", target="jetson")
    monkeypatch.setattr(starter, "FOLDER", folder)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


def _machine(
    monkeypatch: pytest.MonkeyPatch, openvino: tuple[str, ...], onnx: tuple[str, ...], *, jetson: bool = False
) -> None:
    """A machine whose runtimes have these devices; a runtime without any is not installed."""

    def devices(manifest: Manifest) -> tuple[str, ...]:
        found = openvino if manifest.graph == "model.xml" else onnx
        if not found:
            raise MissingExtraError("a runtime", "ort", "a bundle")
        return found

    monkeypatch.setattr(choose, "_devices_for", devices)
    monkeypatch.setattr(nvidia, "jetson_linux", lambda: "R36.4.3" if jetson else "")


@pytest.mark.parametrize(
    ("openvino", "onnx", "device", "wanted"),
    [
        (("cpu",), ("cpu",), "auto", "intel-cpu"),
        (("cpu", "gpu", "npu"), ("cpu",), "auto", "intel-cpu"),
        (("cpu",), ("tensorrt", "cuda", "cpu"), "auto", "intel-cpu"),
        ((), ("cpu",), "auto", "jetson"),
        ((), ("tensorrt", "cuda", "cpu"), "auto", "jetson"),
        (("cpu",), ("cuda", "cpu"), "CUDA", "jetson"),
        (("cpu",), ("cpu",), "cpu", "intel-cpu"),
        (("cpu", "npu"), ("cpu",), "npu", "intel-cpu"),
    ],
)
def test_the_starter_is_the_bundle_that_fits_the_machine(
    shipped: Path,
    monkeypatch: pytest.MonkeyPatch,
    openvino: tuple[str, ...],
    onnx: tuple[str, ...],
    device: str,
    wanted: str,
) -> None:
    _machine(monkeypatch, openvino, onnx)
    assert named(Path("starter"), device, QUIET) == shipped / wanted


def test_a_jetson_takes_its_own_though_its_cpu_could_run_another(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _machine(monkeypatch, ("cpu",), ("tensorrt", "cuda", "cpu"), jetson=True)
    assert choose_starter() == shipped / "jetson"
    assert choose_starter("cpu") == shipped / "intel-cpu"


def test_an_npu_that_is_asked_for_takes_the_bundle_made_for_it(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bundle(shipped / "intel-npu", target="intel-npu")
    _machine(monkeypatch, ("cpu", "npu"), ("cpu",))
    assert choose_starter("npu") == shipped / "intel-npu"
    assert choose_starter() == shipped / "intel-cpu"


def test_a_device_that_nothing_has_is_said(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, ("cpu",), ("cpu",))
    with pytest.raises(
        BundleError, match=r"no bundle of the starter runs .*--device tensorrt.*have cpu here"
    ):
        named(Path("starter"), "tensorrt", QUIET)


def test_a_target_is_named_outright(shipped: Path) -> None:
    assert named(Path("starter-jetson"), "auto", QUIET) == shipped / "jetson"
    with pytest.raises(
        BundleError, match=r"no starter for intel-npu; there is starter-intel-cpu, starter-jet"
    ):
        named(Path("starter-intel-npu"), "auto", QUIET)


def test_paths_are_paths(shipped: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for text in ("starters", "starter-2", "bundles/starter", "x"):
        assert named(starter.as_path(text), "auto", QUIET) == Path(text)
    here = make_bundle(Path("starter")).path.absolute()
    for text in ("./starter", "starter/", str(here)):
        assert named(starter.as_path(text), "auto", Console()) == here
    assert capfd.readouterr().err == ""
    assert named(starter.as_path("starter"), "auto", Console()) == shipped / "intel-cpu"
    assert "the folder here is ./starter" in capfd.readouterr().err


def test_without_a_bundle_the_starter_is_taken_and_said(
    shipped: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert find_bundle(None, "auto", Console()) == shipped / "intel-cpu"
    said = capfd.readouterr().err
    assert "no bundle under bundles/: taking starter-intel-cpu, a small model that s2d-edge ships" in said
    assert str(shipped / "CARD.md") in said
    assert said.count("\n") == 1


def test_own_bundles_go_first_even_where_they_cannot_be_read(
    shipped: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = make_bundle(Path("bundles/own")).path
    assert find_bundle(None, "auto", Console()) == own
    assert capfd.readouterr().err == ""
    (own / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="readable JSON"):
        find_bundle(None, "auto", QUIET)
    with pytest.raises(S2DEdgeError, match="there is no bundle under bundles/ and no run"):
        choose_model(None, "auto", QUIET)


def test_what_a_killed_export_left_is_no_bundle(shipped: Path) -> None:
    make_bundle(Path("bundles/.own.x7"))
    assert find_bundle(None, "auto", QUIET) == shipped / "intel-cpu"


def test_a_damaged_installation_says_what_is_wrong(shipped: Path) -> None:
    for target in ("intel-cpu", "jetson"):
        (shipped / target / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match=r"intel-cpu/manifest\.json is not readable JSON"):
        named(Path("starter"), "auto", QUIET)


def test_an_installation_without_one_knows_no_such_name(no_starter: Path) -> None:
    assert named(Path("starter"), "auto", QUIET) == Path("starter")
    with pytest.raises(BundleError, match="there is no bundle under"):
        find_bundle(None, "auto", QUIET, root=no_starter)
    with pytest.raises(BundleError, match="ships no starter"):
        choose_starter()
