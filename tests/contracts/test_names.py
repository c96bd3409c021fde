"""Names and labels that manifests and runs may hold, and those that would lead elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.contracts.bundle import GRAPHS, MANIFEST, read_manifest
from s2d_edge.contracts.labels import LabelSet
from s2d_edge.contracts.names import file_fault, labels_fault, name_fault, name_of, text_fault
from s2d_edge.contracts.runs import RUN_FILE, read_run, write_run_info
from s2d_edge.core.errors import BundleError, CheckpointError, ConfigError
from tests.contracts.test_runs import info
from tests.firmware_host.graphs import make_bundle

NO_TEXT = ["", " ", "\t", "a\0b", "a\nb", "a\rb", "a\x1bb", "a\u2028b", "\ud800"]
PATHS = ["../../../x", "..", ".", "/", "/srv/x", "a/b", "a/", "..\\x", "C:\\x"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a bundle, for tests that write variants of it."""
    return make_bundle(tmp_path_factory.mktemp("names") / "bundle").path / MANIFEST


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``run.json`` of a run, for tests that write variants of it."""
    folder = tmp_path_factory.mktemp("names-of-runs")
    write_run_info(folder, info())
    return folder / RUN_FILE


def _variant(file: Path, folder: Path, **changes: Any) -> Path:
    content = json.loads(file.read_text("utf-8"))
    (folder / file.name).write_text(json.dumps(content | changes), "utf-8")
    return folder


@pytest.mark.parametrize("name", [*NO_TEXT, *PATHS, "x" * 300])
@pytest.mark.parametrize("field", ["name", "source_run"])
def test_a_manifest_whose_name_leads_elsewhere_is_refused(
    manifest: Path, tmp_path: Path, field: str, name: str
) -> None:
    with pytest.raises(BundleError, match=rf"manifest\.json.*{field}"):
        read_manifest(_variant(manifest, tmp_path, **{field: name}))


@pytest.mark.parametrize("name", [*NO_TEXT, *PATHS, "x" * 300])
def test_a_run_whose_name_leads_elsewhere_is_refused(run: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"run\.json.*name="):
        read_run(_variant(run, tmp_path, name=name), need_weights=False)


@pytest.mark.parametrize("label", [*NO_TEXT, "green"])
def test_labels_that_cannot_be_told_apart_or_written_are_refused(
    manifest: Path, run: Path, tmp_path: Path, label: str
) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json.*label"):
        read_manifest(_variant(manifest, tmp_path, labels=[label, "green", "blue"]))
    classes = len(info().labels)
    labels = [label, "green", *(f"class {k}" for k in range(classes - 2))]
    with pytest.raises(CheckpointError, match=r"run\.json.*label"):
        read_run(_variant(run, tmp_path, labels=labels), need_weights=False)
    with pytest.raises(ConfigError, match="label"):
        LabelSet(name="custom", labels=(label, "green"), fps=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target", "jetson"),
        ("files", {"model.xml": "0", "/etc/passwd": "0"}),
        ("files", {"model.xml": "0", "../x": "0"}),
        ("files", {"model.xml": "0", "a/../../x": "0"}),
        ("files", {"model.xml": "0", "a\0b": "0"}),
        ("files", {"model.xml": "0", "": "0"}),
        ("files", {"model.xml": "0", "./report.json": "0"}),
        ("files", {"model.xml": "0", MANIFEST: "0"}),
    ],
)
def test_a_target_or_a_file_that_does_not_fit_is_refused(
    manifest: Path, tmp_path: Path, field: str, value: object
) -> None:
    with pytest.raises(BundleError, match=field):
        read_manifest(_variant(manifest, tmp_path, **{field: value}))


@pytest.mark.parametrize(("target", "graphs"), GRAPHS.items())
def test_every_target_takes_the_graphs_of_its_runtimes_only(
    manifest: Path, tmp_path: Path, target: str, graphs: tuple[str, ...]
) -> None:
    for graph in ("model.onnx", "model.xml"):
        variant = _variant(manifest, tmp_path, target=target, graph=graph, files={graph: "0"})
        if graph in graphs:
            assert read_manifest(variant).graph == graph
        else:
            with pytest.raises(BundleError, match="target"):
                read_manifest(variant)


def test_tensors_of_one_name_are_refused(manifest: Path, tmp_path: Path) -> None:
    outputs = json.loads(manifest.read_text("utf-8"))["outputs"]
    with pytest.raises(BundleError, match=r"outputs\.1\.name"):
        read_manifest(_variant(manifest, tmp_path, outputs=[outputs[0], outputs[0]]))
    with pytest.raises(BundleError, match=r"outputs\.0\.name"):
        read_manifest(_variant(manifest, tmp_path, outputs=[outputs[0] | {"name": "a\0"}]))


@pytest.mark.parametrize("name", ["faces", "Gesichter 2", "表情", "a.b", "-x", "happy + sad", ".hidden"])
def test_ordinary_names_are_taken(name: str) -> None:
    assert name_fault(name) == text_fault(name) == file_fault(name) == ""
    assert labels_fault([name, "other"]) == ""
    assert name_of(Path("bundles") / name) == name


@given(name=st.text(max_size=300))
def test_the_name_of_a_folder_is_always_one_that_a_manifest_may_hold(name: str) -> None:
    assert name_fault(name_of(Path("bundles") / name.replace("\0", ""))) == ""


def test_a_folder_without_a_name_of_its_own_has_that_of_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "own")
    assert name_of(Path()) == name_of(Path("inner/..")) == name_of(Path("../own")) == "own"
    assert name_fault(name_of(Path("/"))) == ""
