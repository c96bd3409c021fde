"""The command line: every verb under one name, errors as one sentence, and exit codes.

Each verb is a file of this room. Verbs import their stage when they run, so that ``--help`` needs none.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import typer

from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.verbs.benchmark import benchmark
from s2d_edge.verbs.calibrate import calibrate
from s2d_edge.verbs.compare import compare
from s2d_edge.verbs.data_animate import animate
from s2d_edge.verbs.data_avatars import avatars
from s2d_edge.verbs.data_check import check
from s2d_edge.verbs.demo import demo
from s2d_edge.verbs.deploy import deploy
from s2d_edge.verbs.doctor import doctor
from s2d_edge.verbs.evaluate import evaluate
from s2d_edge.verbs.export import export
from s2d_edge.verbs.import_ import import_
from s2d_edge.verbs.lint import lint
from s2d_edge.verbs.options import debugging
from s2d_edge.verbs.predict import predict
from s2d_edge.verbs.report import report
from s2d_edge.verbs.run import run
from s2d_edge.verbs.selftest import selftest
from s2d_edge.verbs.train import train

ERROR = 1  # the user can do something about it
BUG = 70  # ours; sysexits.h calls it EX_SOFTWARE
SIGNALLED = 128  # and the signal's number on top

app = typer.Typer(
    name="s2d-edge",
    help="Train the S2D facial-expression model, export it, quantize it to INT8, and run it on edge devices.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_VERBS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "train": train,
    "import": import_,
    "evaluate": evaluate,
    "export": export,
    "calibrate": calibrate,
    "report": report,
    "compare": compare,
    "benchmark": benchmark,
    "predict": predict,
    "run": run,
    "selftest": selftest,
    "lint": lint,
    "deploy": deploy,
    "doctor": doctor,
}
for _name, _verb in _VERBS.items():
    app.command(_name)(_verb)

data = typer.Typer(help="Make and check data sets.", no_args_is_help=True, rich_markup_mode=None)
_DATA_VERBS: tuple[Callable[..., None], ...] = (check, avatars, animate)
for _verb in _DATA_VERBS:
    data.command()(_verb)
app.add_typer(data, name="data")


def main() -> None:
    """Run a verb, and turn what went wrong into one sentence and an exit code."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except KeyboardInterrupt:
        _fail("interrupted", SIGNALLED + signal.SIGINT)
    except (S2DEdgeError, OSError) as error:
        _fail(f"error: {error}", ERROR)
    except ModuleNotFoundError as error:
        _fail(
            f"error: this verb needs the package {error.name!r}, which is not installed; "
            "install it with: pip install 's2d-edge[train]'",
            ERROR,
        )
    except Exception as error:  # a bug: say so, and how to see it
        _fail(
            f"error: unexpected {type(error).__name__}: {error}; repeat with --debug for the traceback", BUG
        )


def _fail(sentence: str, code: int) -> NoReturn:
    if debugging() and code in (ERROR, BUG):
        traceback.print_exc()
    print(sentence, file=sys.stderr)
    sys.exit(code)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End on SIGTERM as on Ctrl-C, so that what is half made is removed."""
    _fail("terminated", SIGNALLED + number)


if __name__ == "__main__":
    main()
