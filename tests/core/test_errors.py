"""Errors cross processes: every class survives pickling with its message."""

from __future__ import annotations

import inspect
import pickle

import pytest

from s2d_edge.core import errors
from s2d_edge.core.errors import MissingExtraError, S2DEdgeError, exit_with_a_sentence
from s2d_edge.firmware_host.engines.base import DeviceAbsentError
from s2d_edge.firmware_host.engines.plans import NoPlanError

CLASSES = [
    value
    for value in (*vars(errors).values(), DeviceAbsentError, NoPlanError)
    if inspect.isclass(value) and issubclass(value, S2DEdgeError) and value is not MissingExtraError
]
ERRORS = [
    *(error(f"a message of {error.__name__}") for error in CLASSES),
    MissingExtraError("av", "x", "AV1"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_survives_pickling(error: S2DEdgeError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 (pickled in this line)
    assert type(copy) is type(error)
    assert str(copy) == str(error) != ""
    assert vars(copy) == vars(error)


def test_missing_extra_names_package_extra_and_feature() -> None:
    message = str(MissingExtraError("paho", "mqtt", "publishing results"))
    assert all(word in message for word in ("paho", "s2d-edge[mqtt]", "publishing results"))


@pytest.mark.parametrize("error", [S2DEdgeError("no face"), FileNotFoundError("no file")])
def test_scripts_end_with_a_sentence(error: Exception) -> None:
    with pytest.raises(SystemExit) as caught, exit_with_a_sentence():
        raise error
    assert caught.value.code == f"error: {error}"


def test_scripts_show_the_traceback_of_a_bug() -> None:
    with pytest.raises(ZeroDivisionError), exit_with_a_sentence():
        raise ZeroDivisionError
