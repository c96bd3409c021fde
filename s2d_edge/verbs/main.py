"""The verbs. Each imports its stage inside the function, so that ``--help`` answers at once."""

from __future__ import annotations

import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn, Optional

import typer

from s2d_edge.verbs import data as cli_data
from s2d_edge.verbs import reports as cli_reports
from s2d_edge.verbs.options import Data, Debug, Device, Json, Protocol, Quiet, SkipUnreadable, debugging

app = typer.Typer(
    name="s2d-edge",
    help="Train the S2D facial-expression model, export it, quantize it to INT8, and run it on edge devices.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_data.app, name="data")


@app.command("import")
def import_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(help="Official S2D weights, image or video stage.")],
    landmark: Annotated[Path, typer.Option(help="The MobileFaceNet landmark weights used beside them.")],
    labels: Annotated[
        str, typer.Option(help="dfew, ferv39k, mafw, affectnet7, …, or the class names in order: a,b,c.")
    ],
    heads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Attention heads of the ViT; default: width / 64."),
    ] = None,
    fps: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Rate at which videos are sampled; default: the label set's."),
    ] = None,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="RUN", help="Run folder to write; default: runs/CHECKPOINT."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Bring official S2D weights into a run folder."""
    from s2d_edge.core.console import Console
    from s2d_edge.verbs.import_ import ImportOptions, import_run

    import_run(
        ImportOptions(checkpoint=checkpoint, landmark=landmark, labels=labels, heads=heads, fps=fps, out=out),
        Console(quiet=quiet),
    )


@app.command()
def evaluate(
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="[RUN_OR_BUNDLE]",
            help="Default: the newest bundle, else the newest run, else the starter.",
        ),
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which split to score.")] = "test",
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap behind the intervals.")] = 0,
    protocol: Protocol = "default",
    skip_unreadable: SkipUnreadable = False,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score a run or a bundle: WAR, UAR, F1, recall per class, confusion matrix, 95 % intervals."""
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.verbs.predict import evaluate_model

    result = evaluate_model(
        model,
        data=data,
        split=split,
        device=device,
        seed=seed,
        console=Console(quiet=quiet),
        protocol=protocol,
        skip_unreadable=skip_unreadable,
    )
    if json is not None:
        write_json(json, result)


@app.command()
def export(
    run: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(metavar="[RUN]", help="Default: the newest run under runs/."),
    ] = None,
    target: Annotated[
        str, typer.Option(help="jetson, intel-npu, intel-gpu, intel-cpu, or cpu (the faster runtime here).")
    ] = "cpu",
    mode: Annotated[
        str,
        typer.Option(
            metavar="window|stream",
            help="window answers clips; stream, for a causal model, answers every frame at the cost of one.",
        ),
    ] = "window",
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="CSV|FOLDER|NAME:ROOT", help="Clips to check parity on; default: drawn avatars."
        ),
    ] = None,
    parity_clips: Annotated[int, typer.Option(help="How many clips to check parity on.")] = 4,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Where to write; default: bundles/RUN-TARGET."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a full-precision bundle for a target: adapters fused, preprocessing inside, parity checked."""
    from s2d_edge.core.console import Console
    from s2d_edge.export.command import export_run

    export_run(
        target=target,
        mode=mode,
        run=run,
        out=out,
        data=data,
        parity_clips=parity_clips,
        console=Console(quiet=quiet),
    )


@app.command()
def calibrate(
    bundle: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="[BUNDLE]",
            help="An FP32 bundle; default: the newest under bundles/.",
        ),
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Calibration clips come from this split.")] = "train",
    eval_split: Annotated[str, typer.Option(help="Measured on once, at the end.")] = "test",
    subset: Annotated[int, typer.Option(help="Calibration clips, chosen evenly over the classes.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of that choice and of the intervals.")] = 0,
    val_split: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="The clips that decide which recipe is good enough; default: val, or where there is none, a "
            "quarter of --split, whole people."
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(
            metavar="PP",
            help="The most that WAR or UAR may drop on --val-split, in percentage points; of UAR one clip of "
            "the rarest class at least. While it drops by more, costlier recipes are tried; if none is good "
            "enough, no bundle is written. inf: take the first, whatever it loses.",
        ),
    ] = 0.5,
    min_agreement: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            metavar="PERCENT",
            help="The least share of --val-split that INT8 must answer as FP32 does, right or wrong, else "
            "costlier recipes are tried likewise; default: 97.",
        ),
    ] = None,
    run: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar="RUN",
            help="The run folder that BUNDLE was exported from. Where no recipe is good enough, its weights "
            "are fine-tuned on --split with INT8's rounding imitated, and quantized again.",
        ),
    ] = None,
    tune_steps: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Steps of that fine-tuning; default: 300."),
    ] = None,
    tune_lr: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Its first learning rate, lowered where it is too bold; default: 1e-5."),
    ] = None,
    skip_unreadable: SkipUnreadable = False,
    sensitivity: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            metavar="CLIPS",
            help="Measure what each group of layers costs on so many clips, 0 for none; default: 1 to 4, "
            "by the model's size.",
        ),
    ] = None,
    device: Device = "auto",
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Where to write; default: bundles/NAME-int8."),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Quantize a bundle to INT8 for its target, and measure what that costs in accuracy."""
    from s2d_edge.calibrate.command import calibrate_bundle
    from s2d_edge.core.console import Console

    tuner = None
    if run is not None or tune_steps is not None or tune_lr is not None:
        from s2d_edge.qat.tuner import run_tuner

        tuner = run_tuner(run, steps=tune_steps, lr=tune_lr, seed=seed)
    calibrate_bundle(
        bundle,
        data=data,
        split=split,
        eval_split=eval_split,
        val_split=val_split,
        subset=subset,
        seed=seed,
        skip_unreadable=skip_unreadable,
        max_drop_pp=max_drop,
        min_agreement_percent=min_agreement,
        tuner=tuner,
        sensitivity=sensitivity,
        device=device,
        out=out,
        json=json,
        console=Console(quiet=quiet),
    )


app.command("report")(cli_reports.report)
app.command("compare")(cli_reports.compare)


@app.command()
def benchmark(
    models: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(
            metavar="[BUNDLE...]",
            help="Default: every bundle under bundles/, else the starter.",
        ),
    ] = None,
    against: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="torch|PATH", help="Give ratios to the bundle's own run in PyTorch, or to PATH."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Timed inferences per model.")] = 20,
    warmup: Annotated[int, typer.Option(help="Untimed ones before.")] = 3,
    profile: Annotated[
        bool, typer.Option("--profile", help="Time the nodes inside each bundle's graph instead, by kind.")
    ] = False,
    threads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="CPU threads, the same for all; default: every core."),
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
    from s2d_edge.verbs.benchmark import benchmark_models, profile_bundles

    options, console = BenchmarkOptions(rounds=rounds, warmup=warmup), Console(quiet=quiet)
    if profile and against is not None:
        raise ConfigError("--profile looks into one graph at a time; leave out --against")
    if profile:
        result = profile_bundles(models or [], options, device=device, threads=threads, console=console)
    else:
        result = benchmark_models(
            models or [], against, options, device=device, threads=threads, console=console
        )
    if json is not None:
        write_json(json, result)


@app.command()
def lint(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="What export or calibrate wrote, or starter.")
    ],
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check a bundle against the documented rules of its target; exit code 1 if it breaks one."""
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.firmware_host.bundles import resolve
    from s2d_edge.lint.command import lint_bundle

    console = Console(quiet=quiet)
    result = lint_bundle(resolve(bundle, None, console), console)
    if json is not None:
        write_json(json, result)
    if not result["fits"]:
        raise typer.Exit(1)


@app.command()
def deploy(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="What export or calibrate wrote, or starter.")
    ],
    to: Annotated[
        str, typer.Option(metavar="triton|ovms", help="Triton takes ONNX bundles, OpenVINO Model Server IR.")
    ],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Where to write; default: deploy/NAME-SERVER."),
    ] = None,
    root: Annotated[
        str, typer.Option(metavar="PATH", help="Where the server will see that folder.")
    ] = "/models",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a bundle as the model repository of a server."""
    from s2d_edge.core.console import Console
    from s2d_edge.deploy.command import DeployOptions
    from s2d_edge.deploy.command import deploy as run

    run(DeployOptions(bundle=bundle, to=to, out=out, root=root), Console(quiet=quiet))


@app.command()
def predict(
    model: Annotated[str, typer.Argument(metavar="BUNDLE_OR_RUN", help="What answers, such as starter.")],
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Videos, pictures, or folders of frames.")
    ],
    no_crop: Annotated[
        bool,
        typer.Option("--no-crop", help="Take the frames as they are, resized only if their size differs."),
    ] = False,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Classify video files, pictures or folders of frames, one clip each."""
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.verbs.predict import predict_paths

    result = predict_paths(model, paths, device=device, crop=not no_crop, console=Console(quiet=quiet))
    if json is not None:
        write_json(json, result)


@app.command()
def train(
    stage: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="image|video|landmark",
            help="One stage only; default: image, then video. landmark: a landmark network from photographs.",
        ),
    ] = None,
    data: Data = None,
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="base, small, tiny, small-112, tiny-112, starter, starter-rgb, demo; "
            "default: --init's, else demo."
        ),
    ] = None,
    init: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="RUN|FILE", help="Start from a run, or from a plain ViT in timm's key names."),
    ] = None,
    landmark: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE|RUN", help="MobileFaceNet weights; default: one taught on the avatars."),
    ] = None,
    recipe: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="quick, demo, faces, landmark, paper, or a published set's: dfew, ferv39k, mafw, affectnet, "
            "rafdb; default: by stage, model and data."
        ),
    ] = None,
    config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE.toml", help="Settings that change the recipe."),
    ] = None,
    set_: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. image.lr=1e-3; may be repeated."),
    ] = None,
    epochs: Annotated[Optional[int], typer.Option(help="Of every stage trained.")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(help="Of everything random.")] = None,  # noqa: UP045
    image_size: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            metavar="PIXELS",
            help="Side of the picture; half of it is a quarter of the patches. Default: --init's, "
            "else the model's.",
        ),
    ] = None,
    frames: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="T, the frames of a clip."),
    ] = None,
    temporal: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="bidirectional|causal",
            help="Causal adapters look back only, for streaming; default: --init's, else bidirectional.",
        ),
    ] = None,
    teacher: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="RUN", help="A video run whose logits the video stage follows too."),
    ] = None,
    fps: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Rate at which videos are sampled, frames per second."),
    ] = None,
    protocol: Protocol = "default",
    skip_unreadable: SkipUnreadable = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="RUN", help="Run folder; for both stages, -image and -video are added to it."),
    ] = None,
    resume: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="RUN", help="Go on with an interrupted training, exactly as it began."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the image stage, the video stage, or one after the other; writes run folders."""
    from s2d_edge.core.console import Console
    from s2d_edge.train.command import train as train_stages

    train_stages(
        stage=stage,
        data=data,
        model=model,
        init=init,
        landmark=landmark,
        out=out,
        resume=resume,
        recipe=recipe,
        config=config,
        changes=tuple(set_ or ()),
        epochs=epochs,
        seed=seed,
        image_size=image_size,
        frames=frames,
        temporal=temporal,
        teacher=teacher,
        fps=fps,
        protocol=protocol,
        skip_unreadable=skip_unreadable,
        device=device,
        console=Console(quiet=quiet),
    )


@app.command()
def selftest(
    bundle: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(
            metavar="[BUNDLE]",
            help="Default: the newest under bundles/ that fits this machine, else the starter.",
        ),
    ] = None,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare a device's answers with those that the bundle carries; fails if they are not the same."""
    from s2d_edge.core.console import Console
    from s2d_edge.firmware_host.selftest.selftest import check_bundle

    check_bundle(bundle, device, json, Console(quiet=quiet))


@app.command()
def doctor(json: Json = None, quiet: Quiet = False, debug: Debug = False) -> None:
    """Tell which runtimes, devices and cameras this machine has, and what is missing for each target."""
    from s2d_edge.core.console import Console, write_json
    from s2d_edge.verbs.doctor import report

    findings = report(Console(quiet=quiet))
    if json is not None:
        write_json(json, findings)


@app.command()
def demo(
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for everything the demo makes; default: demo."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the training.")] = 0,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Go the whole way on data the project draws itself: train, export, calibrate, measure, run."""
    from s2d_edge.core.console import Console
    from s2d_edge.verbs.demo import run_demo

    run_demo(out, seed, Console(quiet=quiet))


@app.command()
def run(
    bundle: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="FOLDER|starter",
            help="Default: the newest under bundles/ that fits this machine, INT8 preferred, else the "
            "starter, a small model that s2d-edge ships.",
        ),
    ] = None,
    camera: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", help="Camera number; the default source is camera 0."),
    ] = None,
    source: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="PATH|URL", help="A video file, or a stream such as rtsp://…"),
    ] = None,
    device: Device = "auto",
    stride: Annotated[int, typer.Option(help="A result every so many samples.")] = 1,
    smooth: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time constant of the smoothing; 0 for none.")
    ] = 0.5,
    face_gap: Annotated[
        float, typer.Option(metavar="SECONDS", help="Start anew when the face was gone for longer.")
    ] = 0.5,
    max_faces: Annotated[
        int, typer.Option(metavar="N", help="Faces followed at once, each with a past of its own.")
    ] = 1,
    show: Annotated[bool, typer.Option("--show", help="Open a window; q closes it.")] = False,
    save: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="FILE.mp4", help="Write every frame, annotated."),
    ] = None,
    json: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--json", metavar="FILE|-", help="Write one JSON object per result and line."),
    ] = None,
    max_seconds: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(metavar="SECONDS", help="End after so much time."),
    ] = None,
    skip_selftest: Annotated[
        bool,
        typer.Option(
            "--skip-selftest", help="Trust a device whose answers were never compared with a CPU's."
        ),
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tell expressions live, from a camera, a video file or a network stream."""
    from s2d_edge.core.console import Console
    from s2d_edge.firmware_host.live import LiveOptions, run_live
    from s2d_edge.firmware_host.pipeline.config import PipelineConfig

    summary = run_live(
        LiveOptions(
            bundle=bundle,
            camera=camera,
            source=source,
            device=device,
            pipeline=PipelineConfig(stride=stride, smooth_s=smooth, face_gap_s=face_gap, max_faces=max_faces),
            show=show,
            save=save,
            json=json,
            max_seconds=max_seconds,
            skip_selftest=skip_selftest,
        ),
        Console(quiet=quiet),
    )
    raise typer.Exit(summary.exit_code)


def main() -> None:
    """Entry point: run a verb; turn what went wrong into one sentence and an exit code."""
    from s2d_edge.core.errors import S2DEdgeError

    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except (S2DEdgeError, OSError) as error:
        if debugging():
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if debugging():
            traceback.print_exc()
        print(
            f"error: this verb needs the package {error.name!r}, which is not installed; "
            "install it with: pip install 's2d-edge[train]'",
            file=sys.stderr,
        )
        sys.exit(1)
    except Exception as error:  # a bug: say so, and how to see it
        if debugging():
            traceback.print_exc()
        print(
            f"error: unexpected {type(error).__name__}: {error}; repeat with --debug for the traceback",
            file=sys.stderr,
        )
        sys.exit(70)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """What was half made is cleared away on SIGTERM as it is on Ctrl-C, not left behind."""
    print("terminated", file=sys.stderr)
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
