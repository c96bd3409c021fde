"""The verbs. Each imports its stage inside the function, so that ``--help`` answers at once."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(
    name="s2d-edge",
    help="Train the S2D facial-expression model, export it, quantize it to INT8, and run it on edge devices.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_state = {"debug": False}


def _set_debug(value: bool) -> None:
    _state["debug"] = _state["debug"] or value


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors and warnings only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.", callback=_set_debug, is_eager=True)]
Json = Annotated[
    Optional[str],  # noqa: UP045  (Typer on Python 3.10 reads it at run time)
    typer.Option("--json", metavar="FILE|-", help="Write JSON to FILE, or alone on stdout with '-'."),
]
Device = Annotated[
    str,
    typer.Option(help="auto, cpu, gpu, npu, cuda or tensorrt; auto takes the bundle's target if present."),
]
Data = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="CSV|FOLDER",
        help="A CSV file, a folder with labels.csv, or SPLIT/LABEL folders; default: the embedded avatars.",
    ),
]

# ---- verbs ----------------------------------------------------------------------------------------


@app.command()
def evaluate(
    model: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Argument(metavar="[RUN_OR_BUNDLE]", help="Default: the newest bundle, else the newest run."),
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which split to score.")] = "test",
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap behind the intervals.")] = 0,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score a run or a bundle: WAR, UAR, F1, recall per class, confusion matrix, 95 % intervals."""
    from s2d_edge.answer import evaluate_model
    from s2d_edge.console import Console, write_json

    result = evaluate_model(
        model, data=data, split=split, device=device, seed=seed, console=Console(quiet=quiet)
    )
    if json is not None:
        write_json(json, result)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="BUNDLE_OR_RUN", help="What answers.")],
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
    from s2d_edge.answer import predict_paths
    from s2d_edge.console import Console, write_json

    result = predict_paths(model, paths, device=device, crop=not no_crop, console=Console(quiet=quiet))
    if json is not None:
        write_json(json, result)


def main() -> None:
    """Entry point: run a verb; turn what went wrong into one sentence and an exit code."""
    from s2d_edge.errors import S2DEdgeError

    try:
        app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except (S2DEdgeError, OSError) as error:
        if _state["debug"]:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:  # a bug: say so, and how to see it
        if _state["debug"]:
            traceback.print_exc()
        print(
            f"error: unexpected {type(error).__name__}: {error}; repeat with --debug for the traceback",
            file=sys.stderr,
        )
        sys.exit(70)


if __name__ == "__main__":
    main()
