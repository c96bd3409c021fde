"""Fixtures of the host's tests."""

from __future__ import annotations

import pytest

from s2d_edge.contracts.bundle import Bundle
from tests.firmware_host.graphs import make_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with T = 4 at 10 frames per second that predicts the strongest colour."""
    return make_bundle(tmp_path_factory.mktemp("bundles") / "colours")
