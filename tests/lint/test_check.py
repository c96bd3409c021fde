"""Export, calibration and the ``lint`` verb reject graphs that break rules, and pass others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

from s2d_edge.api.stages import calibrate
from s2d_edge.contracts.bundle import Bundle, open_bundle, seal
from s2d_edge.core.console import Console
from s2d_edge.core.errors import BundleError, UnfitGraphError
from s2d_edge.export.command import export_run
from s2d_edge.lint.check import lint_graph, rules_for
from s2d_edge.lint.document import as_markdown
from s2d_edge.model.checkpoint import load_run, save_run
from s2d_edge.verbs.main import app
from tests.colours import write_colours
from tests.firmware_host.graphs import COLOUR_TO_LOGIT, make_bundle
from tests.lint.graphs import insert, int8_graph, store
from tests.models import TINY, write_random_run

_QUIET = Console(quiet=True)
_PAGE = Path(__file__).parents[2] / "docs/targets.md"


def jetson_bundle(path: Path) -> Bundle:
    """A bundle whose manifest fits :func:`tests.lint.graphs.int8_graph`."""
    return make_bundle(path, graph="model.onnx", target="jetson", frames=1, size=32)


def with_graph(bundle: Bundle, model: onnx.ModelProto) -> Bundle:
    """Replace the graph of a bundle, and seal the bundle again."""
    onnx.save(model, bundle.graph_path)
    seal(bundle.path, bundle.manifest)
    return open_bundle(bundle.path)


@pytest.mark.slow(seconds=3)
def test_export_rejects_graphs_that_its_target_would_reject(tmp_path: Path) -> None:
    write_random_run(tmp_path / "run", TINY.as_image())
    model, info = load_run(tmp_path / "run")
    with torch.no_grad():
        model.head.bias.fill_(1e6)
    save_run(tmp_path / "large", info, model)
    with pytest.raises(UnfitGraphError, match=r"intel-npu: .* 1e\+06, .*fp16-range, https://"):
        export_run(
            target="intel-npu",
            run=tmp_path / "large",
            out=tmp_path / "bundle",
            parity_clips=1,
            console=_QUIET,
        )
    assert {path.name for path in tmp_path.iterdir()} == {"run", "large"}


@pytest.mark.slow(seconds=3)
def test_calibration_rejects_graphs_that_its_target_would_reject(tmp_path: Path) -> None:
    write_colours(tmp_path / "data", "train", 2)
    write_colours(tmp_path / "data", "test", 2)
    # In 8 bits the weights are small; their scale is not.
    fp32 = make_bundle(tmp_path / "fp32", target="intel-npu", weights=COLOUR_TO_LOGIT * np.float32(1e9))
    data, out = str(tmp_path / "data"), tmp_path / "int8"
    with pytest.raises(UnfitGraphError, match="fp16-range"):
        calibrate(fp32.path, data=data, subset=3, out=out, console=_QUIET)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "fp32"}


def test_verb_lists_every_violation_and_fails(tmp_path: Path) -> None:
    model = int8_graph()
    insert(model, "mean", "QuantizeLinear", "lone", ["residual.out", "normed.scale", "normed.zero"])
    insert(model, "mean", "Cast", "wide", [store(model, "big", np.array([2**40]))], to=onnx.TensorProto.FLOAT)
    bundle = with_graph(
        make_bundle(tmp_path / "bundle", graph="model.onnx", target="jetson", frames=1, size=32), model
    )
    done = CliRunner().invoke(app, ["lint", str(bundle.path), "--json", "-"])
    assert done.exit_code == 1
    payload = json.loads(done.stdout)
    assert (payload["target"], payload["fits"]) == ("jetson", False)
    assert payload["rules"] == [*(rule.name for rule in rules_for("jetson", "model.onnx")), "interface"]
    assert [(each["rule"], each["node"], each["severity"]) for each in payload["violations"]] == [
        ("int32-range", "wide", "warning"),
        ("q-dq-pairs", "lone", "error"),
    ]
    assert "error: lone: QuantizeLinear with no DequantizeLinear" in done.stderr
    assert "warning: wide: the int64 constant big holds 1099511627776" in done.stderr


def test_warnings_alone_do_not_fail(tmp_path: Path) -> None:
    model = int8_graph()
    insert(model, "mean", "Cast", "wide", [store(model, "big", np.array([2**40]))], to=onnx.TensorProto.FLOAT)
    bundle = with_graph(
        make_bundle(tmp_path / "bundle", graph="model.onnx", target="jetson", frames=1, size=32), model
    )
    done = CliRunner().invoke(app, ["lint", str(bundle.path), "--quiet"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "int32-range" in done.stderr


def test_rules_are_those_of_the_target(tmp_path: Path) -> None:
    model = int8_graph()
    model.opset_import[0].version = 25
    onnx.save(model, tmp_path / "model.onnx")
    assert [violation.rule for violation in lint_graph(tmp_path / "model.onnx", "jetson")] == ["opset"]
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    insert(model, "mean", "Gather", "lookup", ["w.dq.out", store(model, "rows", np.array([0]))])
    onnx.save(model, tmp_path / "model.onnx")
    found = [(violation.rule, violation.node) for violation in lint_graph(tmp_path / "model.onnx", "cpu")]
    assert found == [
        ("opset", "the graph"),
        ("static-shapes", "clip"),
        ("linear-weights", "lookup"),
    ]


def test_onnx_runtime_s_rules_find_the_graphs_it_rejects(tmp_path: Path) -> None:
    """ONNX Runtime itself opens what passes, and refuses the newer file format."""
    model = int8_graph()
    path = tmp_path / "model.onnx"
    for version, broken in ((9, []), (10, []), (11, ["ir-version"])):
        model.ir_version = version
        onnx.save(model, path)
        assert [violation.rule for violation in lint_graph(path, "cpu")] == broken
        if not broken:
            onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    model.ir_version = 1000
    onnx.save(model, path)
    with pytest.raises(BundleError, match="1000"):
        lint_graph(path, "cpu")
    with pytest.raises(Exception, match="IR version: 1000"):
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_page_lists_every_rule() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    assert page == as_markdown(), "write it again: python -m s2d_edge.lint.document > docs/targets.md"
    for target, graph in (("jetson", "model.onnx"), ("intel-npu", "model.xml"), ("cpu", "model.onnx")):
        for rule in rules_for(target, graph):  # type: ignore[arg-type]
            assert f"`{rule.name}`" in page
            assert f"<{rule.source}>" in page
