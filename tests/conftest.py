"""Fixtures every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from s2d_edge.firmware_host import bundles

if "PYTEST_XDIST_WORKER" in os.environ:  # tests beside others: threads of each would only contend
    os.environ["OMP_NUM_THREADS"] = "1"

# No example may fail because the machine is busy, and every run draws the same ones.
settings.register_profile(
    "house", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")

SHARED_DATA = Path(__file__).parents[1] / "../shared/data"


@pytest.fixture
def no_starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that ships no starter; the empty folder where it would be."""
    folder = tmp_path / "no-starter"
    folder.mkdir()
    monkeypatch.setattr(bundles, "STARTER_FOLDER", folder)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data beside the checkout; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the development data in ../shared/data, which is not here")
    return SHARED_DATA.resolve()
