"""``benchmark``: models timed in turn, and the nodes inside a graph."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from s2d_edge.contracts.bundle import FORMAT_VERSION, open_bundle
from s2d_edge.firmware_host.bench.benchmark import Timing
from s2d_edge.firmware_host.bench.tables import as_table
from tests.firmware_host.graphs import CALIBRATED, make_bundle
from tests.models import write_random_run
from tests.verbs.command import run

pytestmark = pytest.mark.slow(seconds=1)  # together, for what they share

Benchmark = Callable[..., dict[str, Any]]


@pytest.fixture
def benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Benchmark:
    """Run ``benchmark`` beside two bundles of one graph, one for each runtime; returns its JSON."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S2D_EDGE_CACHE", str(tmp_path / "cache"))
    make_bundle(tmp_path / "bundles" / "one")
    make_bundle(tmp_path / "bundles" / "other", graph="model.onnx")

    def call(*words: str) -> dict[str, Any]:
        assert run("benchmark", *words, "--json", "-") == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return call


def test_bundles_are_timed_in_turn(benchmark: Benchmark) -> None:
    result = benchmark("--against", "bundles/one", "--rounds", "3")
    names = [model["name"] for model in result["models"]]
    assert sorted(names[:-1]) == ["one", "other"]
    assert names[-1] == result["reference"] == "one"
    for model in result["models"]:
        assert 0 < model["p50_ms"] <= model["p95_ms"] <= model["p99_ms"]
        assert model["peak_memory_bytes"] > model["size_bytes"] > 0
    assert result["models"][-1]["speedup"] == 1.0


def test_graphs_of_both_runtimes_are_profiled(benchmark: Benchmark) -> None:
    profiles = benchmark("--profile", "--rounds", "3")["profiles"]
    assert sorted(profile["name"] for profile in profiles) == ["one", "other"]
    for profile in profiles:
        assert profile["total_ms"] == pytest.approx(sum(kind["ms"] for kind in profile["kinds"]))
        assert any(kind["linear"] for kind in profile["kinds"])  # the colours' one matrix
        assert 0 <= profile["linear_share"] < 1
        assert all(kind["nodes"] >= 1 for kind in profile["kinds"])


def test_a_run_is_not_profiled(
    benchmark: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_random_run(tmp_path / "runs" / "run")
    assert run("benchmark", "runs/run", "--profile") == 1
    assert "runs/run" in capsys.readouterr().err


def test_linears_with_dequantized_weights_are_not_taken_for_attention(benchmark: Benchmark) -> None:
    (profile,) = benchmark("starter-jetson", "--profile", "--device", "cpu", "--rounds", "2")["profiles"]
    nodes: Counter[bool] = Counter()
    for kind in profile["kinds"]:
        if kind["kind"] in ("MatMul", "FusedMatMul"):
            nodes[kind["linear"]] += kind["nodes"]
        assert kind["linear"] or "Conv" not in kind["kind"]
    # Queries, keys and values of six blocks and of as many temporal adapters share a quantizer each.
    assert nodes[True] >= 2 * 3 * 6
    assert nodes[False] == 2 * 6  # attention over patches


def test_int8_is_timed_against_the_graph_it_was_quantized_from(benchmark: Benchmark, tmp_path: Path) -> None:
    fp32 = open_bundle(tmp_path / "bundles" / "one")
    calibration = CALIBRATED.model_copy(update={"source_sha256": fp32.graph_sha256})
    for name, record in (("int8", calibration), ("unknown", CALIBRATED)):
        make_bundle(
            tmp_path / "bundles" / name, precision="int8", calibration=record, format_version=FORMAT_VERSION
        )
    models = {model["name"]: model for model in benchmark("--rounds", "3")["models"]}
    ratio = models["one"]["p50_ms"] / models["int8"]["p50_ms"]
    assert models["int8"]["times_as_fast_as_fp32"] == pytest.approx(ratio)
    assert [models[name]["times_as_fast_as_fp32"] for name in ("one", "other", "unknown")] == [None] * 3


def test_a_slow_int8_graph_is_told_below_the_table() -> None:
    def timing(name: str, ratio: float | None) -> Timing:
        return Timing(
            name=name,
            engine=f"{name} on X",
            frames=4,
            fps=4.0,
            unit="clip",
            state_bytes=0,
            latency_ms=np.array([2.0]),
            size_bytes=1,
            peak_memory_bytes=1,
            times_as_fast_as_fp32=ratio,
        )

    console = Console(width=140, record=True, file=io.StringIO())
    console.print(as_table([timing("fp32", None), timing("fast", 2.5), timing("slow", 0.77)], None))
    text = console.export_text()
    assert "2.50 ×" in text
    assert "0.77 ×" in text
    assert "slow: INT8 is not faster" in text
    assert "fast: INT8" not in text
