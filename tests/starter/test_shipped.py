"""The shipped starters are whole, small, fit for their targets, and as their card describes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from s2d_edge.contracts.bundle import MANIFEST, find_bundles, open_bundle
from s2d_edge.core.files import sha256_of
from s2d_edge.firmware_host.bundles import STARTER_CARD, STARTER_FOLDER
from s2d_edge.lint.check import lint_graph

SHIPPED = sorted(path for path, _ in find_bundles(STARTER_FOLDER))
MOST_BYTES = 12_000_000
MAKER = Path(__file__).parents[2] / "tools/starter/make.sh"

pytestmark = pytest.mark.skipif(not SHIPPED, reason="this checkout ships no starter bundle")


@pytest.mark.parametrize("path", SHIPPED, ids=[path.name for path in SHIPPED])
def test_a_shipped_bundle_is_whole_small_and_fits_its_target(path: Path) -> None:
    bundle = open_bundle(path)  # verifies every hash
    manifest = bundle.manifest
    assert manifest.target == path.name
    assert manifest.precision == "int8"
    assert manifest.mode == "stream"
    assert manifest.self_test is not None
    assert sum(file.stat().st_size for file in path.iterdir()) <= MOST_BYTES
    assert {file.name for file in path.iterdir()} == {MANIFEST, *manifest.files}
    assert not [fault for fault in lint_graph(bundle.graph_path, manifest.target) if not fault.warns]


def test_bundles_are_of_one_model() -> None:
    manifests = [open_bundle(path).manifest for path in SHIPPED]
    assert len({(each.source_run, each.labels, each.frames, each.fps) for each in manifests}) == 1


def test_the_card_names_the_very_files_and_commands() -> None:
    card = (STARTER_FOLDER / STARTER_CARD).read_text(encoding="utf-8")
    named = {path: sha256 for sha256, path in re.findall(r"^([0-9a-f]{64})  (\S+)$", card, re.MULTILINE)}
    files = {file for path in SHIPPED for file in path.iterdir()}
    assert named == {file.relative_to(STARTER_FOLDER).as_posix(): sha256_of(file) for file in files}
    assert MAKER.read_text(encoding="utf-8").rstrip() in card
