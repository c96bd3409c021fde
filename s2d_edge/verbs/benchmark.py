"""``benchmark``: models timed side by side, the nodes inside one graph, or a whole live run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

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
    pipeline: Annotated[
        bool,
        typer.Option(
            "--pipeline",
            help="Measure the whole live run of a camera instead: processor time, latency, memory.",
        ),
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --pipeline: the video to play; default: a drawn face."),
    ] = None,
    fps: Annotated[float, typer.Option(help="With --pipeline: frames per second of each camera.")] = 25.0,
    cameras: Annotated[int, typer.Option(metavar="N", help="With --pipeline: how many cameras.")] = 1,
    seconds: Annotated[float, typer.Option(help="With --pipeline: how long to measure.")] = 20.0,
    search: Annotated[
        str, typer.Option(metavar="auto|all|samples", help="With --pipeline: as run takes it.")
    ] = "auto",
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png|.svg", help="With --pipeline: draw where the time goes."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads, the same for all; default: every core.")
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
    if pipeline:
        from s2d_edge.firmware_host.bench.pipeline import LiveOptions
        from s2d_edge.firmware_host.pipeline.search_plan import SearchWhen
        from s2d_edge.verbs.benchmark_pipeline import benchmark_pipeline

        if profile or against is not None:
            raise ConfigError("--pipeline measures a live run; leave out --profile and --against")
        if len(given) > 1:
            raise ConfigError(f"--pipeline measures one bundle, and {len(given)} were given; name one")
        measured = benchmark_pipeline(
            given[0] if given else None,
            source,
            LiveOptions(
                fps=fps, cameras=cameras, seconds=seconds, search=cast(SearchWhen, search), threads=threads
            ),
            device=device,
            plot=plot,
            console=console,
        )
        if json is not None:
            write_json(json, measured)
        return
    if source is not None or plot is not None:
        raise ConfigError("--source and --plot belong to --pipeline; give it, too, or leave them out")
    if profile and against is not None:
        raise ConfigError("--profile looks into one graph at a time; leave out --against")
    if profile:
        result = profile_bundles(given, options, device=device, threads=threads, console=console)
    else:
        result = benchmark_models(given, against, options, device=device, threads=threads, console=console)
    if json is not None:
        write_json(json, result)
