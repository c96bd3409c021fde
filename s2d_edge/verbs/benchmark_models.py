"""Timing bundles and run folders beside each other, or the nodes inside a bundle's graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from s2d_edge.api.opening import open_engine_of
from s2d_edge.contracts.bundle import MANIFEST, Bundle, open_bundle
from s2d_edge.contracts.engine import Engine
from s2d_edge.contracts.provenance import find_source_run
from s2d_edge.contracts.runs import RUNS, WEIGHTS, read_run
from s2d_edge.core.console import Console
from s2d_edge.core.errors import ConfigError
from s2d_edge.firmware_host.bench.benchmark import BenchmarkOptions, Contender, benchmark
from s2d_edge.firmware_host.bench.profile import as_json as profile_json
from s2d_edge.firmware_host.bench.profile import as_table as profile_table
from s2d_edge.firmware_host.bench.profile import profile
from s2d_edge.firmware_host.bench.tables import as_json, as_table
from s2d_edge.firmware_host.bundles import BundleName, display_name, find_bundles_to_run, resolve
from s2d_edge.firmware_host.engines import open_engine


def benchmark_models(
    given: Sequence[BundleName],
    against: str | None,
    options: BenchmarkOptions,
    *,
    device: str,
    threads: int | None,
    console: Console,
) -> dict[str, Any]:
    """Time bundles and run folders in turn, print the table, and return it for JSON.

    Args:
        given: bundles or run folders; none given takes every bundle under ``bundles``, else the starter.
        against: ``torch`` for the run that the first bundle was exported from, or a bundle or run folder;
            the others' speed is given as a ratio to it.
        options: how often to run each.
        device: for the bundles; a run folder is timed on the CPU.
        threads: limit of CPU threads, the same for all.
        console: shows the table.

    Raises:
        S2DEdgeError: nothing to time, or what opening and running raise.
    """
    chosen = find_bundles_to_run(given, device, console)
    contenders = [_contender(path, device, threads) for path in chosen]
    reference = (
        None
        if against is None
        else _contender(_reference(against, chosen[0], device, console), device, threads)
    )
    everyone = [*contenders, reference] if reference else contenders
    timings = benchmark(everyone, options, console)
    baseline = timings[-1] if reference else None
    console.show(as_table(timings, baseline))
    return as_json(timings, baseline, options)


def profile_bundles(
    given: Sequence[BundleName],
    options: BenchmarkOptions,
    *,
    device: str,
    threads: int | None,
    console: Console,
) -> dict[str, Any]:
    """Time each bundle's nodes, print a table for each bundle, and return them for JSON.

    Raises:
        S2DEdgeError: nothing to look into, a run folder, or what opening and running raise.
    """
    found = []
    for path in find_bundles_to_run(given, device, console):
        with open_engine(open_bundle(path), device, threads=threads, profile=True) as engine:
            one = profile(engine, options.rounds)
        console.show(profile_table(one))
        found.append(profile_json(one))
    return {"rounds": options.rounds, "profiles": found}


def _reference(against: str, first: Path, device: str, console: Console) -> Path:
    if against != "torch":
        return resolve(against, device, console)
    if not (first / MANIFEST).is_file():
        raise ConfigError(
            f"--against torch takes the run that a bundle was exported from, but {first} is no bundle; name "
            "a bundle first, or give a path to --against"
        )
    return find_source_run(open_bundle(first), RUNS)


def _contender(path: Path, device: str, threads: int | None) -> Contender:
    """Return a bundle on ``device``, or a run folder in eager PyTorch on the CPU."""
    if (path / MANIFEST).is_file():
        bundle = open_bundle(path)
        return Contender(
            name=display_name(path),
            open=partial(_open, path, device, threads),
            size_bytes=bundle.size_bytes,
            pair=_pair(bundle),
            precision=bundle.manifest.precision,
        )
    read_run(path)  # raises before any process is started
    return Contender(
        name=f"PyTorch {path.name}",
        open=partial(_open, path, "cpu", threads),
        size_bytes=(path / WEIGHTS).stat().st_size,
    )


def _pair(bundle: Bundle) -> str | None:
    """Return the hash of the FP32 graph: the bundle's own, or that of the one it was quantized from."""
    calibration = bundle.manifest.calibration
    return bundle.graph_sha256 if calibration is None else calibration.source_sha256


def _open(path: Path, device: str, threads: int | None) -> Engine:
    return open_engine_of(path, device, threads=threads)[0]
