"""A truncated graph whose hashes were mended ends every verb in one sentence, never as a bug of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import seal
from tests.colours import write_colours
from tests.firmware_host.graphs import make_bundle
from tests.verbs.command import run

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "data"
    for split in ("train", "val", "test"):
        write_colours(folder, split, 1)
    return folder


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.99])
@pytest.mark.parametrize("name", ["model.onnx", "model.xml", "model.bin"])
def test_every_verb_refuses_a_truncated_graph(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    data: Path,
    name: str,
    kept: float,
) -> None:
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    bundle = make_bundle(tmp_path / "cut", graph="model.onnx" if name == "model.onnx" else "model.xml")
    file = bundle.path / name
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    seal(bundle.path, bundle.manifest)
    picture = data / "test" / "red" / "0.png"
    for words in (
        ("lint", bundle.path),
        ("selftest", bundle.path),
        ("predict", bundle.path, picture, "--no-crop"),
        ("evaluate", bundle.path, "--data", data),
        ("calibrate", bundle.path, "--data", data, "--subset", "3", "--out", tmp_path / "int8"),
        ("deploy", bundle.path, "--to", "triton" if name == "model.onnx" else "ovms"),
        ("run", "--bundle", bundle.path, "--source", picture),
    ):
        assert run(*words) == 1, words
        said = capfd.readouterr().err
        assert sum(line.startswith("error:") for line in said.splitlines()) == 1, said
        assert str(bundle.path) in said
        assert "unexpected" not in said
    assert not (tmp_path / "int8").exists()
    assert not (tmp_path / "deploy").exists()
