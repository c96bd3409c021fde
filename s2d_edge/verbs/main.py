"""The command line: every verb under one name, errors as one sentence, and exit codes.

Each verb is a file of this room. Verbs import their stage when they run, so that ``--help`` needs none.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import typer

from s2d_edge.core.addresses import redact_text
from s2d_edge.core.caches import ensure_home
from s2d_edge.core.disk import sentence_of
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.core.signals import SIGNALLED, answered_in_time, exit_code, on_signals
from s2d_edge.core.standard_files import drop_unwritten, ensure_standard_files
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
from s2d_edge.verbs.missing_library import missing_library
from s2d_edge.verbs.options import debugging
from s2d_edge.verbs.predict import predict
from s2d_edge.verbs.report import report
from s2d_edge.verbs.run import run
from s2d_edge.verbs.selftest import selftest
from s2d_edge.verbs.train import train

ERROR = 1  # the user can do something about it
INTERRUPTED = SIGNALLED + signal.SIGINT  # how Typer ends on a KeyboardInterrupt
BUG = 70  # ours; sysexits.h calls it EX_SOFTWARE

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


_ENDED = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "terminal closed"}
# The base of what Typer raises for a command line that it does not understand.
_UsageError: type[Any] = typer.BadParameter.__mro__[2]


def main() -> None:
    """Run a verb, and turn what went wrong into one sentence and an exit code."""
    caught: list[signal.Signals] = []
    others = set(threading.enumerate())

    def end(number: signal.Signals) -> NoReturn:
        caught.append(number)
        raise KeyboardInterrupt  # what is half made is removed on its way

    try:
        ensure_standard_files()
        ensure_home()
        with on_signals(end), answered_in_time():
            code = app(standalone_mode=False) or 0
        if caught:
            _fail(f"{_ENDED[caught[0]]}; what was half written is removed", exit_code())
        _leave(exit_code() if code == INTERRUPTED else code, set(threading.enumerate()) - others)
    except KeyboardInterrupt:  # while the above was set up or taken down
        _fail("interrupted", exit_code())
    except _UsageError as error:
        error.message = redact_text(error.message)
        error.show()
        sys.exit(error.exit_code)
    except S2DEdgeError as error:
        _fail(f"error: {missing_library(error) or error}", ERROR)
    except OSError as error:
        _fail(f"error: {missing_library(error) or sentence_of(error)}", ERROR)
    except ModuleNotFoundError as error:
        _fail(
            f"error: this verb needs the package {error.name!r}, which is not installed; "
            "install it with: pip install 's2d-edge[train]'",
            ERROR,
        )
    except ImportError as error:
        sentence = missing_library(error)
        if sentence is None:
            _fail_as_bug(error)
        _fail(f"error: {sentence}", ERROR)
    except Exception as error:
        _fail_as_bug(error)


def _leave(code: int, threads: set[threading.Thread]) -> NoReturn:
    """End the process, at once where a thread hangs in a camera's driver: it would abort the interpreter."""
    if any(thread.name == "s2d-capture" for thread in threads):
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


def _fail_as_bug(error: Exception) -> NoReturn:
    """Say that it is ours, and how to see it."""
    _fail(f"error: unexpected {type(error).__name__}: {error}; repeat with --debug for the traceback", BUG)


def _fail(sentence: str, code: int) -> NoReturn:
    with suppress(OSError):  # a terminal that was closed
        if debugging() and code in (ERROR, BUG):
            print(redact_text(traceback.format_exc()), file=sys.stderr, end="")
        print(redact_text(sentence), file=sys.stderr)
    drop_unwritten()
    sys.exit(code)


if __name__ == "__main__":
    main()
