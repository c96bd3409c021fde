"""The files of a bundle: links are followed, every file is vouched for, bad neighbours are named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import MANIFEST, find_bundles, open_bundle, read_manifest, writing_bundle
from s2d_edge.core.claims import choose_output, release
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError
from s2d_edge.core.files import sha256_of
from tests.firmware_host.graphs import make_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundles" / "bundle").path


def as_in_a_hubs_cache(bundle: Path, cache: Path) -> Path:
    """Return a folder of relative links to blobs named after their hashes, as model hubs keep them."""
    snapshot = cache / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for file in bundle.iterdir():
        blob = cache / "blobs" / sha256_of(file)
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob.name)
    return snapshot


def test_a_bundle_made_of_links_is_opened_and_verified(bundle: Path, tmp_path: Path) -> None:
    snapshot = as_in_a_hubs_cache(bundle, tmp_path / "cache")
    (snapshot / ".gitattributes").write_text("*.bin lfs")
    (snapshot / "README.md").write_text("# A card")
    opened = open_bundle(snapshot)
    assert opened.manifest == open_bundle(bundle).manifest
    assert opened.size_bytes == open_bundle(bundle).size_bytes
    blob = (snapshot / "model.bin").resolve()
    blob.write_bytes(b"\0" * blob.stat().st_size)
    with pytest.raises(BundleError, match=r"model\.bin"):
        open_bundle(snapshot)
    blob.unlink()
    with pytest.raises(BundleError, match=r"model\.bin"):
        open_bundle(snapshot)


@pytest.mark.parametrize(
    "name", ["extra.txt", "model.onnx", "report.json", "sub/weights.data", ".hidden.data"]
)
def test_a_file_that_no_hash_vouches_for_is_refused_by_name(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("x")
    with pytest.raises(BundleError, match=name):
        open_bundle(bundle)
    assert find_bundles(bundle.parent) == []


def test_links_to_folders_and_weights_left_out_of_the_hashes_are_refused(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (bundle / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="linked"):
        open_bundle(bundle)
    (bundle / "linked").unlink()
    content = json.loads((bundle / MANIFEST).read_text())
    del content["files"]["model.bin"]
    (bundle / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"model\.bin"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    "name", [".DS_Store", "._model.bin", "Thumbs.db", ".git/config", ".cache/x", "LICENSE"]
)
def test_what_desktops_and_hubs_leave_does_no_harm(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("x")
    assert open_bundle(bundle).path == bundle


def test_a_manifest_with_a_byte_order_mark_is_read(bundle: Path) -> None:
    before = read_manifest(bundle)
    file = bundle / MANIFEST
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_manifest(bundle) == before


@pytest.mark.parametrize("depth", [101, 900, 100_000])
def test_json_nested_deeper_than_any_reader_copes_with_is_refused(bundle: Path, depth: int) -> None:
    text = (bundle / MANIFEST).read_text().rstrip().removesuffix("}")
    (bundle / MANIFEST).write_text(f'{text}, "deep": {"[" * depth}{"]" * depth}}}')
    with pytest.raises(BundleError, match=r"manifest\.json.*deep"):
        read_manifest(bundle)


def test_bad_and_newer_neighbours_are_skipped_and_named(
    bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = bundle.parent
    original = json.loads((bundle / MANIFEST).read_text())
    for name, changes in {
        "margin": {"crop": original["crop"] | {"margin": 50}},
        "newer": {"format_version": 99},
        "escape": {"name": "../../../x"},
    }.items():
        make_bundle(root / name)
        (root / name / MANIFEST).write_text(json.dumps(original | changes))
    make_bundle(root / "cut").graph_path.unlink()
    make_bundle(root / "unreadable")
    (root / "unreadable" / MANIFEST).write_text("{")
    (root / ".killed.x7").mkdir()
    (root / ".killed.x7" / MANIFEST).write_text("{")
    os.mkfifo(make_bundle(root / "fifo").path / "pipe")
    assert [path.name for path, _ in find_bundles(root, Console(quiet=True))] == ["bundle"]
    said = capfd.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("warning: skipped")]
    assert len(lines) == 6
    for name in ("margin", "newer", "escape", "cut", "unreadable", "fifo"):
        assert sum(f"/{name}" in line for line in lines) == 1
    assert find_bundles(root) == find_bundles(root, None)
    assert capfd.readouterr().err == ""


_KILLED = """
import os, signal, sys
from pathlib import Path
from s2d_edge.contracts.bundle import writing_bundle
from s2d_edge.core.claims import choose_output
out = choose_output(Path(sys.argv[1]), Path("unused"))
with writing_bundle(out) as scratch:
    (scratch / "model.bin").write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_export_left_behind_is_removed_by_the_next(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "exports" / "own"
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(out)], check=False)
    assert killed.returncode == -signal.SIGKILL
    left = [path for path in out.parent.iterdir() if path != out]
    assert len(left) == 1
    left.append(shutil.copytree(left[0], out.parent / ".own.0123abcd"))  # of an earlier one
    names = (".own-2.0123abcd", ".other.0123abcd", ".own.notahex0", "own.0123abcd", ".own.89abcdef")
    others = [out.parent / name for name in names]
    for other in others:
        other.mkdir()
    for path in (*left, *others[:-1]):  # the last one was made just now
        os.utime(path, (time.time() - 10, time.time() - 10))
    with claiming(out), writing_bundle(out) as scratch:
        for file in bundle.iterdir():
            shutil.copy(file, scratch)
    assert sorted(out.parent.iterdir()) == sorted([out, *others])
    assert open_bundle(out).path == out


@contextmanager
def claiming(out: Path) -> Iterator[None]:
    choose_output(out, out)
    try:
        yield
    finally:
        release(out)
