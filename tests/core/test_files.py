"""Files are read or refused by name, and written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2d_edge.core.errors import BundleError, S2DEdgeError
from s2d_edge.core.files import choose_output, fresh_path, read_json, whole_file, whole_folder
from tests.hostile import DAMAGED, JSON


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_writing_below_a_file_is_refused(
    whole: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), whole(tmp_path / "file" / "new.mp4"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_whole_folder_replaces_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for text in ("first", "second"):
        with whole_folder(target) as scratch:
            (scratch / "file").write_text(text)
        assert (target / "file").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_whole_file_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk full"), whole_file(tmp_path / "out.json") as scratch:
        scratch.write_text("half")
        raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []


def test_outputs_never_replace_an_existing_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()
    assert fresh_path(tmp_path / "run").name == "run-2"
    assert choose_output(None, tmp_path / "run").name == "run-2"
    with pytest.raises(S2DEdgeError, match=str(tmp_path / "run")):
        choose_output(tmp_path / "run", tmp_path / "run")
    assert choose_output(tmp_path / "run", tmp_path / "run", overwrite=True) == tmp_path / "run"


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_json_raises_the_given_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "damaged.json"
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"damaged\.json.*make it again"):
        read_json(file, BundleError, "make it again")


def test_missing_json_raises_the_given_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent\.json"):
        read_json(tmp_path / "absent.json", BundleError, "make it again")


@given(payload=st.dictionaries(st.text(), JSON, max_size=5))
def test_json_objects_are_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, payload: dict[str, object]
) -> None:
    file = tmp_path_factory.getbasetemp() / "payload.json"
    file.write_text(json.dumps(payload), encoding="utf-8")
    assert read_json(file, BundleError, "make it again") == payload
