"""A damaged graph is linted, or refused with one of our errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2d_edge.core.errors import BundleError
from s2d_edge.lint.check import lint_graph
from tests.damaged_bytes import damaged
from tests.firmware_host.graphs import make_bundle
from tests.lint.graphs import int8_graph

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small INT8 graph for TensorRT, and a small one for OpenVINO."""
    folder = make_bundle(tmp_path_factory.mktemp("graphs") / "bundle").path
    (folder / "model.onnx").write_bytes(int8_graph().SerializeToString())
    return folder


@pytest.mark.parametrize("name", ["model.onnx", "model.xml", "model.bin"])
@settings(max_examples=100)
@given(data=st.data())
def test_a_damaged_graph_is_linted_or_refused(name: str, data: st.DataObject, graphs: Path) -> None:
    graph = graphs / ("model.onnx" if name == "model.onnx" else "model.xml")
    whole = (graphs / name).read_bytes()
    refusal: BundleError | None = None
    try:
        (graphs / name).write_bytes(data.draw(damaged(whole)))
        violations = lint_graph(graph, "jetson" if graph.suffix == ".onnx" else "intel-npu")
        assert all(violation.sentence for violation in violations)
    except BundleError as error:
        refusal = error
    finally:
        (graphs / name).write_bytes(whole)
    assert refusal is None or str(graph) in str(refusal)


def test_an_element_type_that_onnx_does_not_know_is_damage(tmp_path: Path) -> None:
    model = int8_graph()
    model.graph.input[0].type.tensor_type.elem_type = 109
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match=r"model\.onnx"):
        lint_graph(tmp_path / "model.onnx", "jetson")
