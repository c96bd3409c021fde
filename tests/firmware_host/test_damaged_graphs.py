"""A damaged graph is noticed by its hash; sealed again, it is run or refused with one of our errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2d_edge.contracts.bundle import Bundle, open_bundle, seal
from s2d_edge.core.errors import BundleError, DeviceError
from s2d_edge.firmware_host.engines import open_engine
from tests.damaged_bytes import damaged
from tests.firmware_host.graphs import FRAMES, SIZE, make_bundle

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

CLIP = np.zeros((1, FRAMES, SIZE, SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """A bundle of each format, by the names of its graph's files."""
    folder = tmp_path_factory.mktemp("bundles")
    openvino = make_bundle(folder / "openvino")
    return {
        "model.onnx": make_bundle(folder / "onnx", graph="model.onnx"),
        "model.xml": openvino,
        "model.bin": openvino,
    }


@pytest.mark.parametrize("name", ["model.onnx", "model.xml", "model.bin"])
@settings(max_examples=60)
@given(data=st.data())
def test_a_damaged_graph_is_refused(name: str, data: st.DataObject, bundles: dict[str, Bundle]) -> None:
    bundle = bundles[name]
    file: Path = bundle.path / name
    whole = file.read_bytes()
    try:
        file.write_bytes(data.draw(damaged(whole)))
        with pytest.raises(BundleError, match=name):
            open_bundle(bundle.path)
        seal(bundle.path, bundle.manifest)
        try:
            with open_engine(open_bundle(bundle.path), "cpu", threads=1) as engine:
                assert np.isfinite(engine.infer(CLIP)).all()
        except (BundleError, DeviceError) as error:
            assert bundle.path.name in str(error)  # noqa: PT017  (most damages are refused, some are harmless)
    finally:
        file.write_bytes(whole)
        seal(bundle.path, bundle.manifest)
