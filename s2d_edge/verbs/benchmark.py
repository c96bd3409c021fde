"""``benchmark``: models timed side by side, or the nodes inside one graph."""

from __future__ import annotations

from typing import Annotated

import typer

from s2d_edge.verbs.options import Debug, Device, Json, Quiet


def benchmark(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[BUNDLE...]",
            help="Default: every bundle under bundles/ that runs here, else the starter.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="torch|PATH", help="Give ratios to the bundle's own run in PyTorch, or to PATH."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Timed inferences per model.")] = 20,
    warmup: Annotated[int, typer.Option(help="Untimed inferences before.")] = 3,
    profile: Annotated[
        bool, typer.Option("--profile", help="Time the nodes inside each bundle's graph instead, by kind.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads, the same for all; default: every core.")
    ] = None,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Time models side by side: latency, clips per second, size, peak memory."""
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.core.errors import ConfigError
    from s2d_edge.firmware_host.bench.benchmark import BenchmarkOptions
    from s2d_edge.verbs.benchmark_models import benchmark_models, profile_bundles

    options, console = BenchmarkOptions(rounds=rounds, warmup=warmup), Console(quiet=quiet)
    given = models or []
    if profile and against is not None:
        raise ConfigError("--profile looks into one graph at a time; leave out --against")
    if profile:
        result = profile_bundles(given, options, device=device, threads=threads, console=console)
    else:
        result = benchmark_models(given, against, options, device=device, threads=threads, console=console)
    if json is not None:
        write_json(json, result)
