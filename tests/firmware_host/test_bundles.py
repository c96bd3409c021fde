"""The bundle that is meant: by a name, by a path, by default; on this machine and on others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s2d_edge.api.opening import choose_model
from s2d_edge.contracts.bundle import Bundle, Manifest, open_bundle
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, DeviceError, MissingExtraError
from s2d_edge.export.command import export_run
from s2d_edge.firmware_host import bundles
from s2d_edge.firmware_host.bundles import (
    find_bundle,
    find_bundles_to_run,
    find_precision,
    newest_fitting,
    resolve,
    starter_for,
)
from s2d_edge.firmware_host.engines import choose, nvidia
from tests.firmware_host.graphs import CALIBRATED, make_bundle
from tests.models import CAUSAL, write_random_run

QUIET = Console(quiet=True)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships two bundles, and a working directory without any."""
    folder = tmp_path / "package"
    make_bundle(folder / "intel-cpu")
    make_bundle(folder / "jetson", graph="model.onnx", target="jetson")
    monkeypatch.setattr(bundles, "STARTER_FOLDER", folder)
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
    monkeypatch.setattr(choose, "machine_devices", lambda: tuple({*openvino, *onnx}))
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
    assert resolve("starter", device, QUIET) == shipped / wanted


def test_a_jetson_takes_its_own_though_its_cpu_could_run_another(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _machine(monkeypatch, ("cpu",), ("tensorrt", "cuda", "cpu"), jetson=True)
    assert starter_for() == shipped / "jetson"
    assert starter_for("cpu") == shipped / "intel-cpu"


def test_a_requested_npu_takes_the_bundle_made_for_it(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bundle(shipped / "intel-npu", target="intel-npu")
    _machine(monkeypatch, ("cpu", "npu"), ("cpu",))
    assert starter_for("npu") == shipped / "intel-npu"
    assert starter_for() == shipped / "intel-cpu"


def test_a_device_that_this_machine_lacks_is_an_error_before_a_bundle_is_chosen(
    shipped: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _machine(monkeypatch, ("cpu",), ("cpu",))
    make_bundle(Path("bundles/own"))
    for choose_default in (find_bundle, choose_model):
        with pytest.raises(DeviceError, match="--device gpu"):
            choose_default(None, "gpu", Console())
    with pytest.raises(DeviceError, match="--device tensorrt"):
        resolve("starter", "tensorrt", Console())
    with pytest.raises(DeviceError, match="--device npu"):
        find_bundles_to_run([], "npu", Console())
    with pytest.raises(DeviceError, match="--device gpu"):
        find_precision(None, "fp32", Console(), device="gpu")
    assert capfd.readouterr().err == ""


def test_the_default_is_a_bundle_that_the_device_can_run(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _machine(monkeypatch, ("cpu", "gpu"), ("cuda", "cpu"))
    _aged(make_bundle(Path("bundles/openvino")), 5000)
    _aged(make_bundle(Path("bundles/onnx"), graph="model.onnx", target="jetson"), 0)
    for device, wanted in (("gpu", "openvino"), ("cuda", "onnx"), ("auto", "onnx")):
        chosen = choose_model(None, device, QUIET)
        assert isinstance(chosen, Bundle), "it was opened once, and is opened once"
        assert chosen.path == Path("bundles") / wanted
        assert find_bundle(None, device, QUIET).path == Path("bundles") / wanted
        assert find_precision(None, "fp32", QUIET, device=device).path == Path("bundles") / wanted
    assert find_bundles_to_run([], "gpu", QUIET) == [Path("bundles/openvino")]
    assert find_bundles_to_run([], "auto", QUIET) == [Path("bundles/onnx"), Path("bundles/openvino")]
    _machine(monkeypatch, ("cpu",), ("cuda", "cpu"))
    make_bundle(Path("bundles/onnx"), graph="model.xml")
    for choose_default in (find_bundle, choose_model):
        with pytest.raises(BundleError, match="--device cuda"):
            choose_default(None, "cuda", QUIET)


def test_a_default_of_one_precision_need_not_run_here(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, ("cpu",), ())
    with pytest.raises(BundleError, match="s2d-edge calibrate"):
        find_precision(None, "int8", QUIET)
    make_bundle(
        Path("bundles/int8"),
        graph="model.onnx",
        target="jetson",
        precision="int8",
        calibration=CALIBRATED,
    )
    assert find_precision(None, "int8", QUIET).path == Path("bundles/int8")
    with pytest.raises(BundleError, match="--device auto"):
        find_precision(None, "int8", QUIET, device="auto")


def test_a_starter_that_will_not_run_here_may_be_for_another_machine(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _machine(monkeypatch, ("cpu",), ())
    assert resolve("starter", None, QUIET) == shipped / "intel-cpu"
    assert resolve("starter", None, QUIET, graph="model.onnx") == shipped / "jetson"
    with pytest.raises(BundleError, match=r"jetson \(model.onnx\)"):
        starter_for("auto", graph="model.onnx")


def test_a_target_is_named_outright(shipped: Path) -> None:
    assert resolve("starter-jetson", "auto", QUIET) == shipped / "jetson"
    with pytest.raises(BundleError, match="starter-intel-cpu, starter-jetson"):
        resolve("starter-intel-npu", "auto", QUIET)


def test_paths_are_paths(shipped: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for text in ("starters", "starter-2", "bundles/starter", "x"):
        assert resolve(text, "auto", QUIET) == Path(text)
    here = make_bundle(Path("starter")).path.absolute()
    for given in ("./starter", "starter/", str(here), Path("starter")):
        assert resolve(given, "auto", Console()).absolute() == here
    assert capfd.readouterr().err == ""
    assert resolve("starter", "auto", Console()) == shipped / "intel-cpu"
    assert "./starter" in capfd.readouterr().err


def test_without_a_bundle_the_starter_is_taken_and_reported(
    shipped: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert find_bundle(None, "auto", Console()).path == shipped / "intel-cpu"
    said = capfd.readouterr().err
    assert "starter-intel-cpu" in said
    assert str(shipped / "CARD.md") in said
    assert said.count("\n") == 1


def test_own_bundles_go_first_even_where_they_cannot_be_read(
    shipped: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = make_bundle(Path("bundles/own")).path
    assert find_bundle(None, "auto", Console()).path == own
    assert capfd.readouterr().err == ""
    (own / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match=r"own/manifest\.json"):
        find_bundle(None, "auto", QUIET)
    with pytest.raises(BundleError, match=r"own/manifest\.json"):
        choose_model(None, "auto", QUIET)


def test_a_run_folder_is_told_from_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    with pytest.raises(BundleError, match="s2d-edge export"):
        find_bundle(tmp_path, "auto", QUIET)
    with pytest.raises(BundleError, match="s2d-edge export"):
        find_precision(tmp_path, "fp32", QUIET)


def test_the_remains_of_a_killed_export_are_no_bundle(shipped: Path) -> None:
    make_bundle(Path("bundles/.own.x7"))
    assert find_bundle(None, "auto", QUIET).path == shipped / "intel-cpu"


def test_a_damaged_installation_says_what_is_wrong(shipped: Path) -> None:
    for target in ("intel-cpu", "jetson"):
        (shipped / target / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match=r"intel-cpu/manifest\.json"):
        resolve("starter", "auto", QUIET)


def test_an_installation_without_one_knows_no_such_name(no_starter: Path) -> None:
    assert resolve("starter", "auto", QUIET) == Path("starter")
    with pytest.raises(BundleError, match="s2d-edge export"):
        find_bundle(None, "auto", QUIET, root=no_starter)
    with pytest.raises(BundleError, match="starter"):
        starter_for()


def _aged(bundle: Bundle, age_s: float) -> None:
    then = 1_700_000_000 - age_s
    os.utime(bundle.path / "manifest.json", (then, then))


@pytest.mark.slow(seconds=2)
def test_the_default_prefers_int8_of_the_newest_run_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s2d_edge.firmware_host.engines import onnxruntime_engine

    monkeypatch.setattr(onnxruntime_engine, "devices", lambda: ("cpu",))
    root = tmp_path / "bundles"
    with pytest.raises(BundleError, match="s2d-edge export"):
        newest_fitting(root, "auto", QUIET)
    (root / "damaged").mkdir(parents=True)
    (root / "damaged/manifest.json").write_text('{"format_version": 99}')
    with pytest.raises(BundleError, match="format_version 99"):
        newest_fitting(root, "auto", QUIET)
    _aged(make_bundle(root / "jetson", graph="model.onnx", target="jetson"), 0)
    assert (
        newest_fitting(root, "auto", QUIET).path.name == "jetson"
    )  # on the CPU, for want of anything better
    _aged(make_bundle(root / "new", source_run="b"), 10)
    assert newest_fitting(root, "auto", QUIET).path.name == "new"
    _aged(make_bundle(root / "new-int8", source_run="b", precision="int8", calibration=CALIBRATED), 20)
    _aged(make_bundle(root / "old-int8", source_run="a", precision="int8", calibration=CALIBRATED), 5000)
    assert newest_fitting(root, "auto", QUIET).path.name == "new-int8"
    # A newer stream of the same run is not passed over for an older INT8 window.
    write_random_run(tmp_path / "b", CAUSAL)
    stream = export_run(
        target="intel-cpu", mode="stream", run=tmp_path / "b", out=root / "stream", console=QUIET
    )
    _aged(open_bundle(stream), 5)
    assert newest_fitting(root, "auto", QUIET).path.name == "stream"
    with pytest.raises(BundleError, match="--device tensorrt"):
        newest_fitting(root, "tensorrt", QUIET)
