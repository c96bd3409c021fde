"""Face packs go into the starter's bundles of a wheel, and out of those that are committed."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import FORMAT_VERSION, FaceRecord, find_bundles, open_bundle
from s2d_edge.core.errors import DataError
from s2d_edge.core.files import sha256_of
from s2d_edge.firmware_host.bundles import STARTER_CARD, STARTER_FOLDER
from tests.firmware_host.graphs import Pack, make_bundle
from tools.starter import faces


@pytest.fixture
def folder(face_pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A starter of two bundles, with a card; packs are copied instead of made."""

    def copied(bundle: Path) -> FaceRecord:
        shutil.copytree(face_pack[0] / "face", bundle / "face")
        return face_pack[1]

    monkeypatch.setattr(faces, "write_pack", copied)
    root = tmp_path / "starter"
    bundles = [make_bundle(root / "intel-cpu", format_version=2), make_bundle(root / "jetson")]
    lines = "\n".join(faces.hash_lines(bundles))
    (root / STARTER_CARD).write_text(f"# A card\n\n```\n{lines}\n```\n\nThe end.\n")
    return root


def test_packs_are_added_once_and_the_card_lists_every_file(folder: Path) -> None:
    before = (folder / STARTER_CARD).read_text()
    for _ in range(2):
        faces.add_packs(folder)
        text = (folder / STARTER_CARD).read_text()
        named = {path: sha256 for sha256, path in re.findall(r"^([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)}
        files = {file for bundle in ("intel-cpu", "jetson") for file in (folder / bundle).rglob("*.*")}
        assert named == {file.relative_to(folder).as_posix(): sha256_of(file) for file in files}
    assert "jetson/face/mesh.onnx" in named
    assert (text.split("```")[0], text.split("```")[2]) == (before.split("```")[0], before.split("```")[2])
    for path, manifest in find_bundles(folder):
        assert manifest.face is not None
        assert manifest.format_version == FORMAT_VERSION
        open_bundle(path)


def test_a_pack_is_removed_before_a_bundle_is_committed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = open_bundle(folder / "jetson").graph_sha256
    faces.add_packs(folder)
    monkeypatch.setattr(sys, "argv", ["faces", "remove", str(folder / "jetson")])
    for _ in range(2):
        faces.main()
        left = open_bundle(folder / "jetson")
        assert left.manifest.face is None
        assert left.graph_sha256 == graph
        assert not (folder / "jetson/face").exists()


@pytest.mark.parametrize("card", ["no hash at all\n", "{0}\n\nand once more\n\n{0}\n"])
def test_a_card_that_lists_no_hashes_or_lists_them_twice_is_refused(folder: Path, card: str) -> None:
    (folder / STARTER_CARD).write_text(card.format("0" * 64 + "  jetson/model.onnx"))
    with pytest.raises(DataError, match=STARTER_CARD):
        faces.add_packs(folder)


def test_the_repository_holds_no_weights_of_others() -> None:
    for path, manifest in find_bundles(STARTER_FOLDER):
        assert manifest.face is None, f"python -m tools.starter.faces remove {path}"
        assert not (path / "face").exists()
