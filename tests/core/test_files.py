"""Files and folders that are whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from s2d_edge.core.files import whole_file, whole_folder


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_a_file_is_no_folder_to_write_into(
    whole: Callable[[Path], AbstractContextManager[Path]], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="Not a directory"), whole(tmp_path / "file" / "new.mp4"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
