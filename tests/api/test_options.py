"""A verb, the Python function it calls, and the stage behind that have the same options and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

import s2d_edge
from s2d_edge.export.command import export_run
from s2d_edge.train.command import train as train_stages
from s2d_edge.verbs.main import app

# Where an option's name is not its parameter's: --max-drop has its unit in the help text.
_RENAMED = {"max_drop": "max_drop_pp", "min_agreement": "min_agreement_percent", "set_": "changes"}
_OF_THE_COMMAND_LINE = {"quiet", "debug"}


def _defaults(function: Callable[..., object]) -> dict[str, object]:
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "console"
    }


@pytest.mark.parametrize(
    ("verb", "function", "only_verb"),
    [
        ("train", s2d_edge.train, {}),
        ("export", s2d_edge.export, {}),
        ("calibrate", s2d_edge.calibrate, {}),
        ("evaluate", s2d_edge.evaluate, {"json": None, "plot": None}),
    ],
)
def test_a_verb_has_the_options_of_its_function(
    verb: str, function: Callable[..., object], only_verb: dict[str, object]
) -> None:
    (command,) = (each.callback for each in app.registered_commands if each.name == verb)
    assert command is not None
    typed = {
        _RENAMED.get(name, name): default
        for name, default in _defaults(command).items()
        if name not in _OF_THE_COMMAND_LINE
    }
    if "changes" in typed:
        assert (typed["changes"], _defaults(function)["changes"]) == (None, ())
        typed["changes"] = ()
    assert typed == _defaults(function) | only_verb


def test_one_setting_may_stand_alone() -> None:
    for changes in ("image.epochs", ("image.epochs",)):  # without a value
        with pytest.raises(s2d_edge.S2DEdgeError, match=r"image\.epochs"):
            s2d_edge.train(changes=changes)


@pytest.mark.parametrize(
    ("function", "stage"), [(s2d_edge.train, train_stages), (s2d_edge.export, export_run)]
)
def test_a_function_has_the_options_of_its_stage(
    function: Callable[..., object], stage: Callable[..., object]
) -> None:
    assert _defaults(function) == _defaults(stage)
