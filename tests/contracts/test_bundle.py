"""The bundle: what is written is read back, and anything else is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.contracts.bundle import (
    GRAPHS,
    MANIFEST,
    AccuracyRecord,
    CalibrationRecord,
    Manifest,
    ParityRecord,
    TensorSpec,
    find_bundles,
    open_bundle,
    read_manifest,
    writing_bundle,
)
from s2d_edge.contracts.clip import CropRecipe
from s2d_edge.core.errors import BundleError
from tests.firmware_host.graphs import make_bundle
from tests.hostile import DAMAGED, JSON, mutated, places

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


@pytest.fixture(scope="module")
def shared_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose manifest tests may overwrite; ``original.json`` beside it holds it."""
    path = make_bundle(tmp_path_factory.mktemp("bundles") / "bundle").path
    (path.parent / "original.json").write_bytes((path / MANIFEST).read_bytes())
    return path


SIZES = st.floats(0, 1e6, exclude_min=True)
DROPS = st.floats(-100, 100)
CALIBRATIONS = st.builds(
    CalibrationRecord,
    recipe=st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers() | DROPS | st.booleans()),
)
ACCURACIES = st.builds(
    AccuracyRecord,
    drop_war_pp=DROPS,
    drop_war_pp_ci95=st.tuples(DROPS, DROPS),
    drop_uar_pp=DROPS,
    drop_uar_pp_ci95=st.tuples(DROPS, DROPS),
)


LABELS = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/\\:"), max_size=20
).filter(lambda text: bool(text.strip(" .")) and bool(text.strip()))


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Valid manifests of window and stream graphs, of both formats and precisions."""
    frames, size = draw(st.integers(2, 32)), draw(st.integers(32, 1024))
    stream, int8 = draw(st.booleans()), draw(st.booleans())
    labels = tuple(draw(st.lists(LABELS, min_size=2, max_size=9, unique=True)))
    shape = (1, size, size, 3) if stream else (1, frames, size, size, 3)
    picture = TensorSpec(
        name="clip", layout="BHWC", shape=shape, dtype="uint8", colour="RGB", range=(0.0, 255.0)
    )
    state: tuple[TensorSpec, ...] = ()
    new: tuple[TensorSpec, ...] = ()
    if stream:
        axes = draw(st.permutations("SNAD"))
        sizes = {"S": frames - 1, "N": draw(st.integers(1, 9)), "A": 2, "D": 4}
        ring, slot = (
            TensorSpec(name=name, layout="".join(axes), shape=tuple(s[a] for a in axes), dtype="float32")
            for name, s in (("ring", sizes), ("slot", sizes | {"S": 1}))
        )
        ages = TensorSpec(name="age", layout="S", shape=(frames - 1,), dtype="int32")
        state, new = (ages, ring), (slot,)
    logits = TensorSpec(name="logits", layout="BK", shape=(1, len(labels)), dtype="float32")
    texts = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
    return Manifest(
        format_version=3,
        name=draw(LABELS),
        source_run=draw(LABELS),
        target=draw(st.sampled_from([target for target in GRAPHS if "model.xml" in GRAPHS[target]])),
        precision="int8" if int8 else "fp32",
        mode="stream" if stream else "window",
        frames=frames,
        fps=draw(st.floats(0, 240, exclude_min=True)),
        graph="model.xml",
        inputs=(picture, *state),
        outputs=(logits, *new),
        labels=labels,
        crop=CropRecipe(margin=draw(st.floats(0, 2)), size=size),
        execution=draw(st.dictionaries(st.text(max_size=5), texts, max_size=2)),
        tools=draw(texts),
        files=draw(st.dictionaries(LABELS, st.text(max_size=5), max_size=3)) | {"model.xml": "0"},
        parity=draw(st.builds(ParityRecord, tolerance=SIZES, max_abs_logit_diff=SIZES)),
        calibration=draw(CALIBRATIONS) if int8 else None,
        accuracy=draw(st.none() | ACCURACIES),
    )


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
        ({"format_version": 4}, "format_version 4"),
        ({"format_version": None}, "format_version None"),
        ({"labels": None}, "field 'labels'"),
        ({"surprise": 1}, "field 'surprise'"),
        ({"target": "toaster"}, "field 'target'"),
        ({"fps": -1.0}, "field 'fps'"),
        ({"fps": float("nan")}, "field 'fps'"),
        ({"crop": {"size": 8}}, r"crop\.size=8"),
        ({"frames": 7}, r"inputs\[0\]"),
        ({"precision": "int8"}, "calibration"),
        ({"labels": ["a", "b"]}, "labels"),
        ({"self_test": SELF_TEST}, "self_test"),
        ({"format_version": 2, "self_test": SELF_TEST}, r"selftest\.npy"),
        ({"format_version": 2, "self_test": {"file": "selftest.npy"}}, r"field 'self_test\.answers'"),
    ],
)
def test_invalid_manifest_names_the_field(bundle: Path, changes: dict[str, Any], message: str) -> None:
    _edit(bundle, **changes)
    with pytest.raises(BundleError, match=message):
        read_manifest(bundle)


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_manifest_is_refused_by_name(bundle: Path, content: bytes) -> None:
    (bundle / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        open_bundle(bundle)


@given(data=st.data())
def test_manifest_with_a_random_value_is_read_or_refused(shared_bundle: Path, data: st.DataObject) -> None:
    content = json.loads((shared_bundle.parent / "original.json").read_text())
    path = data.draw(st.sampled_from(list(places(content))))
    (shared_bundle / MANIFEST).write_text(json.dumps(mutated(content, path, data.draw(JSON))))
    try:
        opened = open_bundle(shared_bundle)
    except BundleError:
        return
    assert opened.manifest.spec.frames == opened.manifest.frames
    assert opened.manifest.state_bytes >= 0
    assert opened.graph_path.is_file()


@given(content=st.binary(max_size=200))
def test_manifest_of_random_bytes_is_refused(shared_bundle: Path, content: bytes) -> None:
    (shared_bundle / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError):
        read_manifest(shared_bundle)


@given(manifest=manifests())
def test_any_valid_manifest_is_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest
) -> None:
    folder = tmp_path_factory.getbasetemp() / "written"
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    assert read_manifest(folder) == manifest


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "", ".", "model.bin/x"])
def test_names_that_no_file_can_have_are_refused(bundle: Path, name: str) -> None:
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    _edit(bundle, files=files | {name: "0" * 64})
    with pytest.raises(BundleError):
        open_bundle(bundle)


def test_missing_altered_and_outside_files_are_found(bundle: Path) -> None:
    graph = next(file for file in bundle.iterdir() if file.name != MANIFEST)
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleError, match=graph.name):
        open_bundle(bundle)
    graph.unlink()
    with pytest.raises(BundleError, match=graph.name):
        open_bundle(bundle)
    files = json.loads((bundle / MANIFEST).read_text())["files"]
    _edit(bundle, files=files | {"../outside": "0" * 64})
    (bundle.parent / "outside").write_text("x")
    graph.write_bytes(content)
    with pytest.raises(BundleError, match=r"\.\./outside"):
        open_bundle(bundle)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="absent"):
        open_bundle(tmp_path / "absent")
    with pytest.raises(BundleError, match=r"manifest\.json"):
        open_bundle(tmp_path)


def test_finding_bundles_skips_broken_ones_and_sorts_newest_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old")):
        path = make_bundle(tmp_path / name).path
        os.utime(path / MANIFEST, (1e9 - age, 1e9 - age))
    for name in ("broken", "crop"):
        make_bundle(tmp_path / name)
    (tmp_path / "broken" / MANIFEST).write_text("{")
    _edit(tmp_path / "crop", crop={"size": 8})
    assert [path.name for path, _ in find_bundles(tmp_path)] == ["new", "old"]


def test_failed_writing_leaves_the_first_bundle_and_nothing_else(bundle: Path) -> None:
    before = (bundle / MANIFEST).read_bytes()
    with pytest.raises(RuntimeError), writing_bundle(bundle) as scratch:
        (scratch / "half").write_text("written")
        raise RuntimeError
    assert (bundle / MANIFEST).read_bytes() == before
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]
    with pytest.raises(BundleError), writing_bundle(bundle):
        pass
    assert (bundle / MANIFEST).read_bytes() == before
