"""Mutated manifests, run files, reports, settings and graphs are used, or end in an error of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.mutations import originals, run


@pytest.mark.slow(seconds=3)
def test_mutated_files(tmp_path: Path) -> None:
    endings = run(200, originals(tmp_path))
    assert {name: sum(counts.values()) for name, counts in endings.items()} == dict.fromkeys(endings, 200)
    for name, wanted in {
        "manifest": {"used", "BundleError"},
        "run": {"used", "CheckpointError", "ConfigError"},
        "report": {"used", "BundleError"},
        "settings": {"used", "ConfigError"},
        "graph": {"used", "BundleError"},
    }.items():
        assert set(endings[name]) <= wanted
        assert len(endings[name]) > 1  # neither all refused nor all used
