"""``run``: a camera, a video file or a network stream in, expressions out, live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from s2d_edge.verbs.options import Debug, Device, Quiet


def run(
    bundle: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|starter",
            help="Default: the newest under bundles/ that fits this machine, INT8 preferred, else the "
            "starter, a small model that s2d-edge ships.",
        ),
    ] = None,
    camera: Annotated[
        int | None, typer.Option(metavar="N", help="Camera number; the default source is camera 0.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="PATH|URL", help="A video file, or a stream such as rtsp://…"),
    ] = None,
    device: Device = "auto",
    face_device: Annotated[
        str,
        typer.Option(
            help="Where faces are searched: auto, which is the model's device, cpu, gpu, npu or cuda; those "
            "but cpu are experimental, as for --device."
        ),
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="CPU threads of the model; default: every core.")
    ] = None,
    stride: Annotated[int, typer.Option(help="A result every so many samples.")] = 1,
    smooth: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time constant of the smoothing; 0 for none.")
    ] = 0.5,
    face_gap: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Reset a face's state when it was gone for longer."),
    ] = 0.5,
    max_faces: Annotated[
        int, typer.Option(metavar="N", help="Faces followed at once, each with a state of its own.")
    ] = 1,
    search: Annotated[
        str,
        typer.Option(
            metavar="auto|all|samples",
            help="Frames searched for faces: auto takes samples, and those between where a face is new, fast "
            "or lost, or drawn by --show or --save.",
        ),
    ] = "auto",
    show: Annotated[bool, typer.Option("--show", help="Open a window; q closes it.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.mp4",
            help="Write every frame, annotated, at its own time. With the extra av, a camera's video plays "
            "even after a power cut.",
        ),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE|-",
            help="Write one JSON object per result and line; those of a camera are appended as they come.",
        ),
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="End after so much time.")
    ] = None,
    skip_selftest: Annotated[
        bool,
        typer.Option(
            "--skip-selftest", help="Trust devices whose logits and points were never compared with a CPU's."
        ),
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Predict expressions live, from a camera, a video file or a network stream."""
    from s2d_edge.core.console import Console
    from s2d_edge.core.errors import ConfigError
    from s2d_edge.firmware_host.live import run_live
    from s2d_edge.firmware_host.pipeline.config import PipelineConfig
    from s2d_edge.firmware_host.pipeline.search_plan import SearchWhen

    if camera is not None and source is not None:
        raise ConfigError("--camera and --source were both given; choose one")
    summary = run_live(
        Console(quiet=quiet),
        bundle=bundle,
        source=(camera or 0) if source is None else source,
        device=device,
        face_device=face_device,
        threads=threads,
        config=PipelineConfig(
            stride=stride,
            smooth_s=smooth,
            face_gap_s=face_gap,
            max_faces=max_faces,
            search=cast(SearchWhen, search),
        ),
        show=show,
        save=save,
        json=json,
        max_seconds=max_seconds,
        skip_selftest=skip_selftest,
    )
    raise typer.Exit(summary.exit_code)
