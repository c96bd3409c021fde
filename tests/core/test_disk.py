"""A disk that refuses a file is told as one sentence: which file, why, and what to do."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from s2d_edge.core.disk import is_full, refusals, sentence_of
from s2d_edge.core.errors import S2DEdgeError
from s2d_edge.core.files import whole_folder
from s2d_edge.core.openvino_core import save_graph
from s2d_edge.core.scratch import temporary_folder
from tests.full_disk import full


def write_graph(path: Path) -> None:
    clip = ops.parameter([1, 4096], np.float32)
    product = ops.multiply(clip, ops.constant(np.arange(4096, dtype=np.float32)[None]))
    save_graph(ov.Model([product], [clip]), path)


def write_array(path: Path) -> None:
    with refusals(path):
        np.save(path, np.zeros(1 << 16))


@pytest.mark.parametrize(("write", "name"), [(write_graph, "model.xml"), (write_array, "frames.npy")])
def test_a_library_that_does_not_say_why_is_asked_again(
    tmp_path: Path, write: Callable[[Path], None], name: str
) -> None:
    with pytest.raises(OSError, match=name) as caught, full(1000):
        write(tmp_path / name)
    assert is_full(caught.value)
    assert ".probe" not in str(list(tmp_path.iterdir()))
    write(tmp_path / name)


def test_other_errors_of_a_library_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such operation"), refusals(tmp_path / "model.xml"):
        raise RuntimeError("no such operation")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_into_a_full_disk_names_the_output(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(5000))
    with (
        pytest.raises(OSError, match="out/copy") as caught,
        full(1000),
        whole_folder(tmp_path / "out") as scratch,
    ):
        shutil.copyfile(tmp_path / "big", scratch / "copy")
    assert sentence_of(caught.value).startswith(f"{tmp_path}/out/copy cannot be written")


def test_a_full_disk_of_temporary_files_names_the_variable_that_moves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(S2DEdgeError, match=r"frames\.npy .*TMPDIR"), full(1000), temporary_folder() as folder:
        write_array(folder / "frames.npy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENOENT, errno.EIO, errno.EISDIR]
)
def test_a_sentence_names_the_file_and_the_reason(number: int) -> None:
    reason = os.strerror(number)
    for error in (OSError(number, reason, "a.mp4"), OSError(number, reason, "b", None, "a.mp4")):
        said = sentence_of(error)
        assert "a.mp4" in said
        assert reason in said
        assert "Errno" not in said
    assert reason in sentence_of(OSError(number, reason))
    assert sentence_of(OSError("3072 requested and 0 written")) == "3072 requested and 0 written"
