"""Every verb that takes a bundle takes the starter, and leaves the package as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2d_edge.core.errors import MediaError
from s2d_edge.firmware_host import bundles, live
from s2d_edge.verbs.doctor_report import examine
from tests.models import CAUSAL
from tests.pictures import with_square, write_video
from tests.shared import Shared
from tests.verbs.command import run

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share


@pytest.fixture(scope="module")
def package(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One shipped bundle: a causal stream of three classes a, b and c, for OpenVINO on a CPU."""
    exported, folder = shared.exported("intel-cpu", "stream", CAUSAL), tmp_path_factory.mktemp("package")
    shutil.copytree(exported.path, folder / "starter" / "intel-cpu")
    shutil.copytree(exported.path.parent / "run", folder / "run")
    return folder / "starter"


@pytest.fixture(autouse=True)
def elsewhere(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, beside a package whose files stay what they are."""
    monkeypatch.setattr(bundles, "STARTER_FOLDER", package)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


def _state(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*") if file.is_file()
    }


def _write_data(root: Path) -> Path:
    generator = np.random.default_rng(0)
    for label in "abc":
        (root / "test" / label).mkdir(parents=True)
        noise = generator.integers(0, 255, (64, 64, 3)).astype(np.uint8)
        Image.fromarray(noise).save(root / "test" / label / "0.png")
    return root


@pytest.mark.slow(seconds=6)
def test_verbs_take_the_starter_by_name_and_leave_the_package_unchanged(
    package: Path, elsewhere: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = _state(package)
    data = _write_data(elsewhere / "data")
    assert run("selftest", "starter", "--json", "selftest.json", "--quiet") == 0
    assert json.loads(Path("selftest.json").read_text())["passed"]
    assert run("lint", "starter", "--quiet") == 0
    assert run("predict", "starter", data / "test/a/0.png", "--no-crop", "--json", "-", "--quiet") == 0
    assert json.loads(capfd.readouterr().out)["results"][0]["label"] in "abc"
    assert run("evaluate", "starter-intel-cpu", "--data", data, "--json", "score.json", "--quiet") == 0
    assert json.loads(Path("score.json").read_text())["n"] == 3
    assert run("deploy", "starter", "--to", "ovms", "--quiet") == 0
    assert (Path("deploy") / "intel-cpu-ovms" / "config.json").is_file()
    assert run("benchmark", "starter", "--profile", "--rounds", "2", "--quiet") == 0
    assert _state(package) == before
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("warning: no face was found in 3 of 3 frames")


@pytest.mark.slow(seconds=2)
def test_a_score_says_which_model_it_is_of(package: Path, elsewhere: Path) -> None:
    from s2d_edge.core.files import sha256_of

    data = _write_data(elsewhere / "data")
    for model in ("starter", package.parent / "run"):
        assert run("evaluate", model, "--data", data, "--json", f"{len(str(model))}.json", "--quiet") == 0
    bundle, trained = (
        json.loads(Path(f"{len(str(model))}.json").read_text())
        for model in ("starter", package.parent / "run")
    )
    manifest = package / "intel-cpu/manifest.json"
    assert bundle["model"] == {"name": "intel-cpu", "sha256": sha256_of(manifest)}
    weights = package.parent / "run/weights.safetensors"
    assert trained["model"] == {"name": "run", "sha256": sha256_of(weights)}
    assert (bundle["data"], bundle["split"]) == (trained["data"], trained["split"]) == ("data", "test")
    # The same model, frame by frame and as a whole, on the same pictures.
    assert bundle["confusion"] == trained["confusion"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("evaluate", "--data", "data"), "no bundle under bundles/"),
        (("selftest",), "no bundle under bundles/"),
        (("benchmark", "--profile", "--rounds", "1"), "no bundle under bundles/"),
    ],
)
def test_the_starter_is_the_default_without_another_bundle(
    elsewhere: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    _write_data(elsewhere / "data")
    assert run(*words) == 0
    said = capfd.readouterr().err
    assert said.startswith(f"{why}: taking starter-intel-cpu, a small model")
    assert "CARD.md" in said.splitlines()[0]


def test_the_user_s_own_run_is_evaluated_before_the_starter(
    package: Path, elsewhere: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "runs").symlink_to(package.parent)
    assert run("evaluate", "--data", _write_data(elsewhere / "data")) == 0
    assert "starter" not in capfd.readouterr().err


def test_run_takes_the_starter_and_reports_it(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MediaError("the bundle is open")

    monkeypatch.setattr(live, "open_face_finder", refuse)
    clip = write_video(elsewhere / "clip.avi", [with_square((220, 20, 20))] * 4)
    for named in ((), ("--bundle", "starter")):
        assert run("run", "--source", clip, *named) == 1
        said = capfd.readouterr().err
        assert "error: the bundle is open" in said
        assert ("taking starter-intel-cpu" in said) == (not named)


def test_the_starter_cannot_be_quantized_again(package: Path, capfd: pytest.CaptureFixture[str]) -> None:
    manifest = package / "intel-cpu/manifest.json"
    text = manifest.read_text()
    record = {"data": "d", "split": "s", "seed": 0, "recipe": {}, "int8_mac_fraction": 1.0}
    quantized = json.loads(text) | {
        "precision": "int8",
        "calibration": record | {"clips": [{"path": "p", "sha256": "0"}]},
    }
    manifest.write_text(json.dumps(quantized))
    try:
        assert run("calibrate", "starter") == 1
    finally:
        manifest.write_text(text)
    assert "is INT8 already" in capfd.readouterr().err


def test_doctor_lists_the_starters(monkeypatch: pytest.MonkeyPatch, no_starter: Path, package: Path) -> None:
    def finding() -> tuple[bool, str, str]:
        (found,) = (each for each in examine() if each.part == "starter")
        return found.ready, found.found, found.next_step

    assert finding() == (False, "none is shipped", "s2d-edge export")
    monkeypatch.setattr(bundles, "STARTER_FOLDER", package)
    ready, found, next_step = finding()
    assert ready
    assert found == "starter-intel-cpu; 'starter' means starter-intel-cpu"
    assert next_step == f"read {package / 'CARD.md'}"
    graph = package / "intel-cpu/model.xml"
    text = graph.read_text()
    graph.write_text(text + " ")
    try:
        assert finding()[0] is False
    finally:
        graph.write_text(text)
