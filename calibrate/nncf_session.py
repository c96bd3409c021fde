"""NNCF as a guest: no telemetry, nothing on stdout, and working beside MediaPipe's protobuf."""

from __future__ import annotations

import importlib
import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Union

from s2d_edge.errors import MissingExtraError


@contextmanager
def nncf_session() -> Iterator[Any]:
    """Import NNCF and yield it; while the block runs, its log and its progress bars stay silent.

    Raises:
        MissingExtraError: NNCF is not installed.
    """
    # NNCF reports each call to a server unless it believes to be in continuous integration.
    os.environ.setdefault("NNCF_CI", "1")
    _let_enums_stand_in_annotations()
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "nncf", "train", "calibration") from None
    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(io.StringIO()):
        yield nncf


def _let_enums_stand_in_annotations() -> None:
    """Give protobuf's enum wrapper the ``|`` that NNCF's ONNX backend uses in an annotation.

    MediaPipe holds protobuf below 5, whose wrapper has no ``|``; there, importing the backend ends in a
    TypeError. Newer protobufs are left as they are.
    """
    try:
        wrapper = importlib.import_module("google.protobuf.internal.enum_type_wrapper").EnumTypeWrapper
    except ModuleNotFoundError:
        return
    if "__or__" not in vars(wrapper):
        wrapper.__or__ = lambda self, other: Union[int, other]  # noqa: UP007
