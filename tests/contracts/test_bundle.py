"""The contract: what is written is read back, and nothing else passes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from s2d_edge.contracts.bundle import MANIFEST, find_bundles, open_bundle, read_manifest, writing_bundle
from s2d_edge.core.errors import BundleError, S2DEdgeError
from s2d_edge.core.files import choose_output, fresh_path, whole_file, whole_folder
from tests.firmware_host.graphs import make_bundle

SELF_TEST = {
    "file": "selftest.npy",
    "answers": 8,
    "generator": 1,
    "seed": 0,
    "engine": {"runtime": "OpenVINO", "device": "cpu", "name": "a processor"},
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle").path


def _edit(bundle: Path, **changes: Any) -> None:
    file = bundle / MANIFEST
    content = json.loads(file.read_text())
    for name, value in changes.items():
        if value is None:
            del content[name]
        else:
            content[name] = value
    file.write_text(json.dumps(content))


def test_round_trip(bundle: Path) -> None:
    opened = open_bundle(bundle)
    assert opened.manifest.spec.frames == opened.manifest.frames
    assert opened.graph_path.is_file()
    assert opened.size_bytes == sum(file.stat().st_size for file in bundle.iterdir() if file.name != MANIFEST)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 3}, "format_version 3"),
        ({"format_version": None}, "format_version None"),
        ({"labels": None}, "field 'labels'"),
        ({"surprise": 1}, "field 'surprise'"),
        ({"target": "toaster"}, "field 'target'"),
        ({"fps": -1.0}, "field 'fps'"),
        ({"fps": float("nan")}, "field 'fps'"),
        ({"frames": 7}, r"inputs\[0\]"),
        ({"precision": "int8"}, "calibration is missing"),
        ({"labels": ["a", "b"]}, "for 2 labels"),
        ({"self_test": SELF_TEST}, "self_test came with format_version 2"),
        ({"format_version": 2, "self_test": SELF_TEST}, r"files lists no selftest\.npy"),
        ({"format_version": 2, "self_test": {"file": "selftest.npy"}}, r"field 'self_test\.answers'"),
    ],
)
def test_invalid_manifest_names_the_field(bundle: Path, changes: dict[str, Any], message: str) -> None:
    _edit(bundle, **changes)
    with pytest.raises(BundleError, match=message):
        read_manifest(bundle)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_unreadable_manifest_is_said(bundle: Path, text: str) -> None:
    (bundle / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match=r"readable JSON|format_version"):
        open_bundle(bundle)


def test_missing_altered_and_outside_files_are_found(bundle: Path) -> None:
    graph = next(file for file in bundle.iterdir() if file.name != MANIFEST)
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleError, match="differs from what the manifest recorded"):
        open_bundle(bundle)
    graph.unlink()
    with pytest.raises(BundleError, match="is missing"):
        open_bundle(bundle)
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    _edit(bundle, files=files | {"../outside": "0" * 64})
    (bundle.parent / "outside").write_text("x")
    graph.write_bytes(content)
    with pytest.raises(BundleError, match="outside the bundle"):
        open_bundle(bundle)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a folder"):
        open_bundle(tmp_path / "absent")
    with pytest.raises(BundleError, match=r"holds no manifest\.json"):
        open_bundle(tmp_path)


def test_finding_bundles_passes_over_the_broken_newest_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "broken")):
        path = make_bundle(tmp_path / name).path
        os.utime(path / MANIFEST, (1e9 - age, 1e9 - age))
    (tmp_path / "broken" / MANIFEST).write_text("{")
    assert [path.name for path, _ in find_bundles(tmp_path)] == ["new", "old"]


def test_failed_writing_leaves_the_first_bundle_and_nothing_else(bundle: Path) -> None:
    before = (bundle / MANIFEST).read_bytes()
    with pytest.raises(RuntimeError), writing_bundle(bundle) as scratch:
        (scratch / "half").write_text("written")
        raise RuntimeError
    assert (bundle / MANIFEST).read_bytes() == before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]
    with pytest.raises(BundleError, match="without a manifest"), writing_bundle(bundle):
        pass
    assert (bundle / MANIFEST).read_bytes() == before


def test_whole_folder_replaces_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for text in ("first", "second"):
        with whole_folder(target) as scratch:
            (scratch / "file").write_text(text)
        assert (target / "file").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_whole_file_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk"), whole_file(tmp_path / "out.json") as scratch:
        scratch.write_text("half")
        raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []


def test_outputs_never_fall_on_something_that_exists(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()
    assert fresh_path(tmp_path / "run").name == "run-2"
    assert choose_output(None, tmp_path / "run").name == "run-2"
    with pytest.raises(S2DEdgeError, match="exists already"):
        choose_output(tmp_path / "run", tmp_path / "run")
