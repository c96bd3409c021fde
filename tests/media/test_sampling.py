"""Which frames of a folder make up a clip."""

from __future__ import annotations

import pytest

from s2d_edge.contracts.clip import as_protocol
from s2d_edge.core.errors import ConfigError
from s2d_edge.media.sampling import FolderWindows, folder_windows


@pytest.mark.parametrize(
    ("available", "windows", "expected"),
    [
        # Training draws a start from 0 to n - T - 1, so the last window is never drawn.
        (7, "every", [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]),
        (5, "every", [[0, 1, 2, 3]]),
        (4, "every", [[0, 1, 2, 3]]),
        (2, "every", [[0, 1, 1, 1]]),
        (1, "every", [[0, 0, 0, 0]]),
        (7, "ends", [[0, 1, 2, 3], [3, 4, 5, 6]]),
        (20, "ends", [[0, 1, 2, 3], [16, 17, 18, 19]]),
        (4, "ends", [[0, 1, 2, 3]]),
        (3, "ends", [[0, 1, 2, 2]]),
        (7, "spread", [[0, 2, 4, 6]]),
        (2, "spread", [[0, 0, 1, 1]]),
    ],
)
def test_windows_of_four_frames(available: int, windows: FolderWindows, expected: list[list[int]]) -> None:
    assert folder_windows(available, 4, windows).tolist() == expected


def test_one_frame() -> None:
    assert folder_windows(5, 1, "spread").tolist() == [[2]]
    assert folder_windows(3, 1, "every").tolist() == [[0], [1]]
    assert folder_windows(3, 1, "ends").tolist() == [[0], [2]]


def test_protocols() -> None:
    assert as_protocol("paper") == "paper"
    with pytest.raises(ConfigError, match="--protocol 'papers' must be one of default, paper"):
        as_protocol("papers")
